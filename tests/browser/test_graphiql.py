"""GraphiQL in a real browser that reaches the service and nothing else."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from selenium.webdriver.common.by import By

from bulkql.server.graphiql.page import ASSETS
from tests.totals import grow


def test_the_first_tabs_create_rows_and_watch_them(graphiql):
    created = graphiql.run_to_the_end()["data"]["bulkCreate"]

    graphiql.select("Watch")
    graphiql.variables = {"id": created["id"]}
    seen = graphiql.run_to_the_end()["data"]["operation"]

    assert (created["state"], created["total"]) == ("QUEUED", 6)
    assert (seen["state"], seen["processed"], seen["created"], seen["failed"]) == ("COMPLETED", 6, 5, 1)
    assert [edge["node"]["code"] for edge in seen["rowErrors"]["edges"]] == ["REQUIRED"]


def test_a_subscription_shows_totals_as_they_grow_to_the_last(graphiql, service):
    rows = [{"name": f"Account {number}"} for number in range(5_000)]
    with service.suspended():  # nothing is written before somebody watches
        operation = service.create({"mode": "ASYNC", "chunkSize": 25}, financialAccounts={"rows": rows})
        graphiql.select("Watch")
        graphiql.variables = {"id": operation["id"]}
        graphiql.run()
        graphiql.until(lambda: graphiql.answer, "the snapshot")
    graphiql.until(lambda: graphiql.is_idle, "the subscription's end")

    events = [event["data"]["operation"] for event in graphiql.events()]
    assert len(events) >= 4
    assert grow(events)
    assert (events[0]["processed"], events[-1]["processed"], events[-1]["state"]) == (0, 5_000, "COMPLETED")
    assert graphiql.answer["data"]["operation"] == events[-1]


@pytest.mark.parametrize("panel", [None, "Show Upload a file"])
def test_on_a_narrow_screen_the_answer_is_below_the_query(graphiql, panel):
    narrow = {"width": 380, "height": 760, "deviceScaleFactor": 1, "mobile": True}
    graphiql.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", narrow)
    if panel:
        graphiql.press(panel)
    graphiql.run_to_the_end()

    query, answer = (rectangle(graphiql, name) for name in (".graphiql-query-editor", ".graphiql-response"))
    assert min(query["width"], answer["width"]) > 250
    assert answer["top"] >= query["bottom"]
    assert graphiql.browser.execute_script("return document.documentElement.scrollWidth") == 380


def test_everything_comes_from_the_service(graphiql, service):
    graphiql.press("Show GraphiQL Explorer")
    graphiql.until(
        lambda: "bulkCreate" in text_of(graphiql, ".graphiql-plugin"), "the explorer with the schema's fields"
    )
    graphiql.press("Show Documentation Explorer")
    graphiql.until(lambda: "FinancialTransaction" in text_of(graphiql, ".graphiql-plugin"), "the schema's types")
    graphiql.select("Watch")
    graphiql.variables = {"id": "00000000-0000-4000-8000-000000000000"}
    answer = graphiql.run_to_the_end()

    assert [error["extensions"]["code"] for error in answer["errors"]] == ["NOT_FOUND"], answer
    assert graphiql.hosts() == {urlsplit(service.url).netloc}
    assert graphiql.browser.get_log("browser") == [], "the console is clean"


def test_what_a_person_wrote_outlives_a_reload(graphiql, service):
    rows = {"input": {"financialAccounts": {"rows": [{"name": "Petty cash"}]}}}
    graphiql.variables = rows
    # GraphiQL stores tabs and editors one after the other.
    graphiql.until(lambda: stored(graphiql).count("Petty cash") == 2, "the change in the browser's storage")

    graphiql.open(f"{service.url}/graphiql")

    assert graphiql.variables == rows


def test_without_its_assets_the_page_says_what_is_missing(client, admin_user, monkeypatch):
    monkeypatch.setattr("bulkql.server.graphiql.page.finders.find", lambda asset: None if asset == ASSETS[0] else asset)
    client.force_login(admin_user)

    page = client.get("/graphiql").content.decode()

    assert f"<li><code>{ASSETS[0]}</code></li>" in page
    assert page.count("<li>") == 1
    assert "make setup" in page
    assert "Node.js" in page
    assert "The API itself runs" in page
    assert "<script" not in page


@pytest.mark.django_db
def test_the_page_is_for_people_who_have_signed_in(client):
    response = client.get("/graphiql")

    assert (response.status_code, response["Location"]) == (302, "/admin/login/?next=/graphiql")


def text_of(graphiql, selector):
    return " ".join(element.text for element in graphiql.browser.find_elements(By.CSS_SELECTOR, selector))


def rectangle(graphiql, selector):
    script = "return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()"
    return graphiql.browser.execute_script(script, selector)


def stored(graphiql):
    return graphiql.browser.execute_script("return JSON.stringify(localStorage)")


def test_variables_may_leave_out_what_has_a_default(graphiql):
    graphiql.select("File")
    graphiql.variables = {"input": {"classificationStatuses": {"file": {"size": 1}}}, "options": {"label": 1}}
    known = graphiql.until(lambda: graphiql.complaints, "GraphiQL's knowledge of the variables' types")
    graphiql.variables = {"input": {"classificationStatuses": {"file": {"uploadId": "1"}}}, "options": {"label": "x"}}

    assert known == ['Type "FileInput" does not have a field "size".', 'Expected value of type "String".']
    assert graphiql.complaints == []


def test_a_dropped_file_is_uploaded_and_its_id_is_in_the_variables(graphiql, tmp_path):
    path = tmp_path / "statuses.csv"
    path.write_text("name\nDropped\n")
    graphiql.select("File")
    graphiql.variables = {"input": {"classificationStatuses": {"file": {}}}, "options": {"mode": "SYNC"}}
    graphiql.press("Show Upload a file")

    graphiql.browser.find_element(By.CSS_SELECTOR, ".bulkql-upload input[type=file]").send_keys(str(path))
    graphiql.until(lambda: "It is in the variables." in text_of(graphiql, ".bulkql-upload"), "the upload's end")
    done = graphiql.run_to_the_end()["data"]["bulkCreate"]

    assert (done["state"], done["total"]) == ("COMPLETED", 1)
    assert graphiql.browser.get_log("browser") == [], "the console is clean"


def test_a_file_that_is_refused_says_why(graphiql, tmp_path, monkeypatch):
    graphiql.press("Show Upload a file")
    # A token of a session of another time.
    graphiql.browser.execute_script("document.cookie = 'csrftoken=; expires=Thu, 01 Jan 1970 00:00:00 GMT; path=/'")
    path = tmp_path / "a.csv"
    path.write_text("name\n")

    graphiql.browser.find_element(By.CSS_SELECTOR, ".bulkql-upload input[type=file]").send_keys(str(path))
    graphiql.until(lambda: text_of(graphiql, ".bulkql-upload [role=alert]"), "the refusal")

    assert "X-CSRFToken" in text_of(graphiql, ".bulkql-upload [role=alert]")
