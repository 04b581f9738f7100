"""The other end of `twoface serve`: its network as a model of ours, and its photo API. docs/client.md shows both."""

from twoface.client.photos import PhotoClient
from twoface.client.remote import RemoteModel, connect, read_key

__all__ = ["PhotoClient", "RemoteModel", "connect", "read_key"]
