"""Drives Firefox as it is, headless, by its own protocol (Marionette: length-prefixed JSON on a local socket): no driver program is needed."""

import json
import os
import pathlib
import socket
import subprocess
import time

PREFERENCES = {
    "browser.shell.checkDefaultBrowser": False, "datareporting.policy.dataSubmissionEnabled": False, "app.update.enabled": False,
    "browser.startup.homepage_override.mstone": "ignore", "toolkit.telemetry.enabled": False, "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False, "extensions.update.enabled": False, "browser.aboutwelcome.enabled": False,
}


class Firefox:
    def __init__(self, program, folder):
        self.profile = pathlib.Path(folder) / "profile"
        self.profile.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in {**PREFERENCES, "marionette.port": port}.items()]
        (self.profile / "user.js").write_text("\n".join(lines))
        self.log = open(self.profile / "log", "w")
        self.process = subprocess.Popen([program, "--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile", self.profile], stdout=self.log,
                                        stderr=subprocess.STDOUT, env=dict(os.environ, MOZ_HEADLESS="1", HOME=str(folder)))
        self.socket, self.buffer, self.number = self.connect(port), b"", 0
        self.receive()
        self.ask("WebDriver:NewSession", capabilities={})
        self.ask("WebDriver:SetTimeouts", script=60000, pageLoad=60000)

    def connect(self, port):
        for _ in range(600):
            if self.process.poll() is not None:
                raise RuntimeError(f"Firefox ended: {(self.profile / 'log').read_text()[-500:]}")
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=90)
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("Firefox didn't listen within a minute")

    def receive(self):
        while b":" not in self.buffer:
            self.take()
        length, _, rest = self.buffer.partition(b":")
        self.buffer = rest
        while len(self.buffer) < int(length):
            self.take()
        message, self.buffer = self.buffer[:int(length)], self.buffer[int(length):]
        return json.loads(message)

    def take(self):
        piece = self.socket.recv(1 << 16)
        if not piece:
            raise RuntimeError("Firefox closed the connection")
        self.buffer += piece

    def ask(self, command, **parameters):
        self.number += 1
        message = json.dumps([0, self.number, command, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(message), message))
        _, _, error, result = self.receive()
        assert error is None, error["message"]
        return result

    def open(self, page, hash=""):
        self.clear_console()
        self.ask("WebDriver:Navigate", url="about:blank")
        self.ask("WebDriver:Navigate", url=f"file://{page}{f'#{hash}' if hash else ''}")
        self.ask("WebDriver:ExecuteAsyncScript", args=[], script="""const done = arguments[arguments.length - 1];
            const wait = () => document.documentElement.dataset.ready ? done() : setTimeout(wait, 20); wait();""")

    def evaluate(self, expression):
        return self.ask("WebDriver:ExecuteScript", args=[], script=f"return {expression}", sandbox=None)["value"]

    def state(self):
        return self.evaluate("heapline.inspect()")

    def press(self, key):
        element = self.ask("WebDriver:FindElement", using="css selector", value="body")["value"]
        self.ask("WebDriver:ElementSendKeys", id=next(iter(element.values())), text=key)

    def screenshot(self):
        return self.ask("WebDriver:TakeScreenshot", full=False)["value"]

    def chrome(self, script):
        """What the browser itself knows."""
        self.ask("Marionette:SetContext", value="chrome")
        try:
            return self.ask("WebDriver:ExecuteScript", args=[], script=script)["value"]
        finally:
            self.ask("Marionette:SetContext", value="content")

    def clear_console(self):
        self.chrome("Services.console.reset(); Cc['@mozilla.org/consoleAPI-storage;1'].getService(Ci.nsIConsoleAPIStorage).clearEvents();")

    def console(self):
        """What the page's scripts and styles made the browser complain of, and what they wrote."""
        return self.chrome("""const found = Services.console.getMessageArray().filter(m => m instanceof Ci.nsIScriptError && String(m.sourceName).startsWith('file:'))
                .map(m => m.errorMessage);
            const events = Cc['@mozilla.org/consoleAPI-storage;1'].getService(Ci.nsIConsoleAPIStorage).getEvents()
                .filter(e => String(e.filename).startsWith('file:')).map(e => String(e.arguments?.[0]));
            return [...found, ...events];""")

    def close(self):
        try:
            self.ask("Marionette:Quit", flags=["eForceQuit"])
            self.process.wait(20)
        except (OSError, RuntimeError, AssertionError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.socket.close()
        self.log.close()
