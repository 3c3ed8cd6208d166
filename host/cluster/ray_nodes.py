"""Nodes of a Ray cluster: an actor on each node that was started with the resource ``ninefold``."""

from __future__ import annotations

import ipaddress
import logging
import os
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Final, Self

from ninefold.spec.data import Result
from ninefold.spec.errors import (
    InputError,
    NinefoldError,
    UnavailableError,
    installs,
    not_installed,
)
from ninefold.spec.terminal import printable
from ninefold.spec.text import shortened

from .holder import Holder, versions
from .nodes import About, Behind, LostNodeError, Request
from .placement import Shard

__all__ = ["RESOURCE", "RayNodes", "connect"]

_log = logging.getLogger(__name__)

#: Resource of nodes that hold shards, and the part of it that one coordinator's actor takes.
RESOURCE: Final = "ninefold"
_PART: Final = 0.001
#: Searches at once on a node; more wait there.
_AT_ONCE: Final = 8


def _first_line(error: BaseException) -> str:
    return shortened(printable(str(error), lines=True).partition("\n")[0], 120)


class RayNode:
    """One life of a node: an actor."""

    def __init__(self, name: str, actor: Any) -> None:
        self.name, self._actor = name, actor
        self.lost = False

    def hold(self, shard: Shard, generation: int, content: Mapping[str, Any], about: Mapping[str, Any]) -> Future[str]:
        """Send a copy of a shard; see `Node.hold`."""
        return self._later(self._actor.hold.remote(shard, generation, dict(content), dict(about)))

    def drop(self, shards: tuple[Shard, ...]) -> Future[None]:
        """Forget shards."""
        return self._later(self._actor.drop.remote(shards))

    def search(self, request: Request) -> Future[Result | Behind]:
        """Search shards; see `Node.search`."""
        return self._later(self._actor.search.remote(request))

    def _later(self, reference: Any) -> Future[Any]:
        """Return the future of an answer, with the errors of Ninefold in place of Ray's."""
        done: Future[Any] = Future()

        def answered(found: Future[Any]) -> None:
            error = found.exception()
            if error is None:
                done.set_result(found.result())
            elif isinstance(cause := getattr(error, "cause", error), NinefoldError):
                done.set_exception(cause)
            else:
                self.lost = True
                done.set_exception(LostNodeError(_first_line(error)))

        done.set_running_or_notify_cancel()
        reference.future().add_done_callback(answered)
        return done


class RayNodes:
    """Nodes of a Ray cluster; a context manager. `connect` makes one."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._actors: dict[str, RayNode] = {}
        #: Actors that have not told their versions yet, with the reference of that answer.
        self._starting: dict[str, tuple[Any, Any]] = {}
        self._refused: set[str] = set()
        self._holder = ray.remote(Holder)

    def found(self) -> Mapping[str, RayNode]:
        """Return the nodes that answer, and start an actor on each node that has none.

        A new actor is returned once it has told its versions, which is not waited for: a node that has just been lost
        is listed as alive for a while.
        """
        alive = {
            node["NodeID"]: f"{node['NodeManagerAddress']}/{node['NodeID'][:8]}"
            for node in self._ray.nodes()
            if node["Alive"] and node["Resources"].get(RESOURCE, 0) > 0
        }
        for identity in [one for one, node in self._actors.items() if one not in alive or node.lost]:
            del self._actors[identity]
        for identity in [one for one in self._starting if one not in alive]:
            del self._starting[identity]
        for identity in alive.keys() - self._actors.keys() - self._starting.keys() - self._refused:
            actor = self._started(identity)
            self._starting[identity] = actor, actor.about.remote("ray")
        for identity, (actor, about) in list(self._starting.items()):
            if self._ray.wait([about], timeout=0)[0]:
                del self._starting[identity]
                if self._accepted(alive[identity], identity, actor, about):
                    self._actors[identity] = RayNode(alive[identity], actor)
        return {node.name: node for node in self._actors.values()}

    def _started(self, identity: str) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(identity, soft=False)
        return self._holder.options(
            num_cpus=0, resources={RESOURCE: _PART}, max_concurrency=_AT_ONCE, scheduling_strategy=there
        ).remote()

    def _accepted(self, name: str, identity: str, actor: Any, answer: Any) -> bool:
        """Return whether a node has the versions of this process; one that has others is refused for good."""
        try:
            about: About = self._ray.get(answer)
        except self._ray.exceptions.RayError as error:
            _log.warning("the node %s cannot be used: %s", name, _first_line(error))
            return False
        here = versions("ray")
        if about.versions != here:
            names = [one for one in {**here, **about.versions} if here.get(one) != about.versions.get(one)]
            both = (about.versions, here)
            there, own = (", ".join(f"{one} {some.get(one, 'none')}" for one in names) for some in both)
            _log.error("the node %s is not used: it has %s, and the coordinator %s", name, printable(there), own)
            self._refused.add(identity)
            self._ray.kill(actor)
            return False
        return True

    def close(self) -> None:
        """End the actors, and leave the cluster."""
        for node in self._actors.values():
            self._ray.kill(node._actor)
        self._actors.clear()
        self._ray.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(address: str) -> RayNodes:
    """Connect to a Ray cluster as coordinator.

    Parameters
    ----------
    address : str
        Address of the head of the cluster, ``HOST:PORT``, private or of this machine. Its nodes hold shards if they
        were started with the resource ``ninefold``; ``ninefold devices --ray`` prints it.

    Raises
    ------
    InputError
        The address is not private, or the cluster lets in callers without a token.
    UnavailableError
        Ray is not installed, or nothing answers at the address.
    """
    _check_address(address)
    if os.environ.get("RAY_AUTH_MODE") != "token":
        raise InputError(
            "a Ray cluster runs the code of whoever reaches it: set RAY_AUTH_MODE=token, on all nodes too; "
            "`ray get-auth-token --generate` makes the token"
        )
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ModuleNotFoundError as error:
        raise not_installed("ray, which a cluster needs,", installs("cluster")) from error
    try:
        ray.init(address=address, namespace=RESOURCE, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        raise UnavailableError(
            f"no Ray cluster at {address} takes this process: {error}", "check address, token and versions"
        ) from error
    return RayNodes(ray)


def _check_address(address: str) -> None:
    """Raise `InputError` unless an address is a private one with a port."""
    host, colon, port = address.rpartition(":")
    try:
        place = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        raise InputError(
            f"ray must be an IP address and port such as 10.0.0.1:6379, not {printable(address)!r}"
        ) from None
    if not colon or not port.isdecimal():
        raise InputError(f"ray must be an IP address and port such as 10.0.0.1:6379, not {printable(address)!r}")
    if not (place.is_private or place.is_loopback):
        raise InputError(
            f"ray must be a private address, not {address}: nothing of a cluster belongs on a public network"
        )
