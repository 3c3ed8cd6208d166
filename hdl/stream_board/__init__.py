"""Board around a user's core: its streams and registers behind the link."""

from ninefold.hdl.stream_board.parameters import StreamBoardParameters

__all__ = ["StreamBoardParameters"]
