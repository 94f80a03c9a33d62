"""Traces: spans of requests and turns go to an OTLP receiver, and belong to the trace of who asked."""

from pathlib import Path

import pytest
from tests.servers.mediary import MediaryServer
from tests.servers.otlp import Receiver, attributes

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_turn_is_a_span_within_the_request_within_the_clients_trace(tmp_path: Path) -> None:
    with Receiver() as receiver:
        settings = f'[usage]\ntrace = "{receiver.url}"\n'
        with MediaryServer(tmp_path / "data", settings=settings) as server:
            server.converse(
                "my secret words",
                provider="Local",
                model="passages",
                headers={"traceparent": f"00-{TRACE}-{PARENT}-01"},
            )
            server.converse("other words", provider="Local", model="passages", headers={"traceparent": "nonsense"})
        names = ("POST /backend-api/v2/conversation", "turn passages", "chat passages")
        receiver.wait_for(*names)
        ours = {span.name: span for span in receiver.spans if span.trace_id.hex() == TRACE}
        request, turn, asked = (ours[name] for name in names)
        assert receiver.refused == []
    assert request.parent_span_id.hex() == PARENT
    assert turn.parent_span_id == request.span_id
    assert asked.parent_span_id == turn.span_id
    assert request.kind == request.SPAN_KIND_SERVER
    assert asked.kind == asked.SPAN_KIND_CLIENT
    assert attributes(request) == {
        "http.request.method": "POST",
        "url.path": "/backend-api/v2/conversation",
        "http.response.status_code": 200,
        "http.route": "/backend-api/v2/conversation",
    }
    told = attributes(turn)
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.provider.name"] == "Local"
    assert told["gen_ai.request.model"] == "passages"
    assert told["gen_ai.response.finish_reasons"] == ["stop"]
    assert told["gen_ai.usage.input_tokens"] == 3
    assert told["mediary.turn.outcome"] == "finished"
    assert len({span.trace_id for span in receiver.spans}) == 2
    assert "secret" not in str(receiver.spans)


def test_a_receiver_that_is_not_there_costs_no_turn(tmp_path: Path) -> None:
    settings = '[usage]\ntrace = "http://127.0.0.1:9"\n'
    with MediaryServer(tmp_path / "data", settings=settings) as server:
        assert server.converse("Hello", provider="Local", model="passages")[-1]["type"] == "finish"


def test_without_the_extra_the_start_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without the packages is what Python finds first."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "opentelemetry.py").write_text("")
    server = MediaryServer(
        tmp_path / "data",
        settings='[usage]\ntrace = "http://127.0.0.1:9"\n',
        env={"PYTHONPATH": str(tmp_path / "hidden")},
    )
    with pytest.raises(AssertionError, match=r'pip install "mediary\[otel\]"'):
        server.start()
    assert "Traceback" not in server.output()
