"""Codec of the link on the host, without I/O: frames and payloads to bytes, and back."""

from ninefold.drivers.protocol.cobs import decode as cobs_decode
from ninefold.drivers.protocol.cobs import encode as cobs_encode
from ninefold.drivers.protocol.errors import ProtocolError
from ninefold.drivers.protocol.frames import Damage, Decoder, encode, encode_all
from ninefold.drivers.protocol.replies import Identity, QueryReply, Refusal, Statistics

__all__ = [
    "Damage",
    "Decoder",
    "Identity",
    "ProtocolError",
    "QueryReply",
    "Refusal",
    "Statistics",
    "cobs_decode",
    "cobs_encode",
    "encode",
    "encode_all",
]
