"""A TCP (or Unix socket) proxy whose connections can be cut, frozen, slowed or led elsewhere."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

Address = tuple[str, int] | Path


class Proxy:
    """Forwards `listen` to `target` from a thread of its own, until `close`.

    `mode`: "pass", "refuse" (new connections are closed at once, old ones are reset), "freeze" (a
    half-open link: nothing is forwarded and nothing closed) or "slow" (each piece waits `delay`).
    `cut_after` is asked of every piece from the client; true cuts that connection after it.
    """

    def __init__(self, target: Address, listen: Path | None = None) -> None:
        self.target = target
        self.mode = "pass"
        self.delay = 2.0
        self.cut_after: Callable[[bytes], bool] = lambda _piece: False
        self._listen = listen
        self._open: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(self._serve())

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    def set(self, mode: str) -> None:
        self.mode = mode
        if mode == "refuse":
            self._run(self._reset_all())

    def lead_to(self, target: Address) -> None:
        """New connections go there; the old ones are reset, as in a failover."""
        self.target = target
        self._run(self._reset_all())

    def close(self) -> None:
        async def end() -> None:
            self._server.close()
            await self._reset_all()
            for pump in self._pumps:
                pump.cancel()
            while self._pumps:
                await asyncio.sleep(0.01)

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _serve(self) -> asyncio.Server:
        if self._listen is not None:
            return await asyncio.start_unix_server(self._accept, str(self._listen))
        return await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "refuse":
            writer.close()
            return
        try:
            there, back = await self._connect()
        except OSError:
            writer.close()
            return
        ends = {writer, back}
        self._open |= ends
        pumps = {
            asyncio.create_task(self._pump(reader, back, self.cut_after)),
            asyncio.create_task(self._pump(there, writer, lambda _piece: False)),
        }
        self._pumps |= pumps
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for end in ends:
            end.close()
            with suppress(OSError):
                await end.wait_closed()
        self._open -= ends
        self._pumps -= pumps

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.target, Path):
            return await asyncio.open_unix_connection(str(self.target))
        return await asyncio.open_connection(*self.target)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        cut_after: Callable[[bytes], bool],
    ) -> None:
        with suppress(OSError):
            while piece := await reader.read(65_536):
                if self.mode == "slow":
                    await asyncio.sleep(self.delay)
                while self.mode == "freeze":
                    await asyncio.sleep(0.05)
                writer.write(piece)
                await writer.drain()
                if cut_after(piece):
                    return

    async def _reset_all(self) -> None:
        for writer in self._open:
            writer.transport.abort()
