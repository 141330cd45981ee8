"""GraphiQL in a browser -> what a person does with it and sees of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

#: Every other host is cut off.
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--window-size=1400,1000",
)

#: Editors, as CodeMirror's own objects.
QUERY = "document.querySelectorAll('.graphiql-editor .CodeMirror')[0].CodeMirror"
VARIABLES = "document.querySelectorAll('.graphiql-editor .CodeMirror')[1].CodeMirror"
ANSWER = "document.querySelector('.result-window .CodeMirror')?.CodeMirror"


def chromium(browser: str, driver: str, profile: Path) -> webdriver.Chrome:
    """A browser without a network, which logs its requests."""
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    # Both paths are given, so that Selenium does not ask its download site for them.
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


class GraphiQL:
    """The page /graphiql."""

    def __init__(self, browser: webdriver.Chrome) -> None:
        self.browser = browser
        self.messages: list[dict[str, Any]] = []

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """The first true answer; fails after half a minute."""
        return WebDriverWait(self.browser, 30, poll_frequency=0.05).until(lambda _: condition(), what)

    def open(self, url: str) -> None:
        self.browser.get(url)
        self.until(lambda: self.tabs == ["Create", "Watch", "File"] and self.is_idle, "GraphiQL with its first tabs")

    @property
    def tabs(self) -> list[str]:
        return [tab.text for tab in self.browser.find_elements(By.CLASS_NAME, "graphiql-tab-button")]

    def select(self, tab: str) -> None:
        self.browser.find_elements(By.CLASS_NAME, "graphiql-tab-button")[self.tabs.index(tab)].click()
        # A tenth of a second after its text, the query's name follows; what runs before has the other tab's.
        self.until(lambda: self.browser.execute_script(f"return {QUERY}.operationName") == tab, f"the tab {tab}")

    def press(self, label: str) -> None:
        self.browser.find_element(By.CSS_SELECTOR, f"button[aria-label='{label}']").click()

    @property
    def variables(self) -> Any:
        return json.loads(self.browser.execute_script(f"return {VARIABLES}.getValue()"))

    @variables.setter
    def variables(self, value: Any) -> None:
        self.browser.execute_script(f"{VARIABLES}.setValue(arguments[0])", json.dumps(value))

    @property
    def complaints(self) -> list[str]:
        """What GraphiQL finds wrong with the variables, and underlines."""
        marks = "cm.performLint(); return cm.state.lint.marked.map(mark => mark.__annotation.message)"
        found: list[str] = self.browser.execute_script(f"const cm = {VARIABLES}; {marks}")
        return found

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs: a subscription shows a button that stops it."""
        return bool(self.browser.find_elements(By.CSS_SELECTOR, "button[aria-label^='Execute query']"))

    @property
    def answer(self) -> Any:
        """What is shown: of a subscription, its last event."""
        text = self.browser.execute_script(f"return {ANSWER}?.getValue()")
        return json.loads(text) if text else None

    def run(self) -> None:
        self.browser.find_element(By.CLASS_NAME, "graphiql-execute-button").click()

    def run_to_the_end(self) -> Any:
        """Run the selected tab; gives the last that it shows."""
        self.run()
        self.until(lambda: self.answer and self.is_idle, "the end of what runs")
        return self.answer

    def log(self) -> list[dict[str, Any]]:
        """The browser's own record of its network, from the beginning."""
        self.messages += [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        return self.messages

    def hosts(self) -> set[str]:
        """Every host that was asked for anything, over HTTP or a websocket."""
        urls = [
            message["params"].get("request", message["params"]).get("url")
            for message in self.log()
            if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated")
        ]
        return {urlsplit(url).netloc for url in urls if urlsplit(url).scheme in ("http", "https", "ws", "wss")}

    def events(self) -> list[dict[str, Any]]:
        """What came over the websockets for subscriptions, as it came."""
        received = [
            message["params"] for message in self.log() if message["method"] == "Network.webSocketFrameReceived"
        ]
        frames = [json.loads(one["response"]["payloadData"]) for one in received]
        return [frame["payload"] for frame in frames if frame["type"] == "next"]
