"""Cores of users, in Verilog or Amaranth: declared in one short file, and used like a core of Ninefold."""

from ninefold.hdl.own.registers import ControlRegister, StatusRegister
from ninefold.hdl.own.streams import StreamIn, StreamOut
from ninefold.hdl.own.verilog import Verilog

__all__ = ["ControlRegister", "StatusRegister", "StreamIn", "StreamOut", "Verilog"]
