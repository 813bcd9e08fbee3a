"""A headless Chromium, driven over its DevTools protocol; software WebGL, no download."""

import base64
import json
import re
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--remote-debugging-port=0", "--mute-audio",
    "--enable-unsafe-swiftshader", "--use-angle=swiftshader", "--ignore-gpu-blocklist",
    "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--remote-allow-origins=*",
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
)  # fmt: skip


def find_browser() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page, its console, and what went wrong there."""

    def __init__(self, folder: Path, *more: str) -> None:
        program = find_browser()
        assert program is not None
        command = [program, *FLAGS, *more, f"--user-data-dir={folder}", "about:blank"]
        self._log = (folder / "log").open("w")
        self._process = subprocess.Popen(command, stderr=self._log, stdout=subprocess.DEVNULL)
        try:
            address = self._address(folder / "log")
        except RuntimeError:
            self._process.kill()
            raise
        self._open = ExitStack()
        connecting = connect(address, max_size=1 << 28, proxy=None)
        self._socket: ClientConnection = self._open.enter_context(connecting)
        self._next = 0
        self.problems: list[str] = []
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def _address(self, log: Path) -> str:
        for _ in range(300):
            found = re.search(r"DevTools listening on (ws://\S+)", log.read_text())
            if found:
                return found[1]
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"the browser did not start: {log.read_text()[-2000:]}")

    def call(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        return self._call(method, params, session=self._session)

    def _call(self, method, params=None, session=None) -> dict[str, Any]:
        self._next += 1
        message = {"id": self._next, "method": method, "params": params or {}}
        if session:
            message["sessionId"] = session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=180))
            if answer.get("id") == self._next:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(params["exceptionDetails"])[:600])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.problems.append(json.dumps(params["args"])[:600])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            text = params["entry"]["text"]
            # Software drawing tells that reading pixels back is slow.
            if "GPU stall due to ReadPixels" not in text:
                self.problems.append(text + " " + params["entry"].get("url", ""))

    def open(self, url: str, *, width: int = 1280, height: int = 800, phone: bool = False) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.call("Emulation.setDeviceMetricsOverride", size)
        self.call("Emulation.setTouchEmulationEnabled", {"enabled": phone})
        self.call("Page.navigate", {"url": url})

    def run(self, code: str) -> Any:
        """Evaluate an expression, awaited; give its value."""
        options = {"expression": code, "awaitPromise": True, "returnByValue": True}
        answer = self.call("Runtime.evaluate", options)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str, *, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < end, f"{condition} never came; {self.problems}"
            time.sleep(0.1)

    def permit(self, name: str, setting: str, origin: str) -> None:
        """Let a page have something, or not."""
        told = {"permission": {"name": name}, "setting": setting, "origin": origin}
        self._call("Browser.setPermission", told)

    def screenshot(self, path: Path) -> None:
        shot = self.call("Page.captureScreenshot", {"format": "png"})
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        self._call("Browser.close")
        self._open.close()
        self._process.wait(20)
        self._log.close()
