"""mediary.toml and MEDIARY_*: which wins, what is refused and how it is said."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest

from mediary.errors import SettingsError
from mediary.settings import (
    KNOWN_SERVICES,
    MediaSettings,
    ServerSettings,
    exposed_without_key,
    load_settings,
    setting_names,
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in KNOWN_SERVICES:
        monkeypatch.delenv(service.variable, raising=False)


def write(folder: Path, text: str, name: str = "mediary.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_an_empty_folder_gives_the_defaults_and_the_provider_local(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path)

    assert (settings.server.host, settings.server.port, settings.server.workers) == ("127.0.0.1", 8080, 1)
    assert settings.data == tmp_path
    assert list(settings.providers) == ["Local"]


def test_the_command_line_stands_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, '[server]\nhost = "127.0.0.2"\nport = 1\ngrace_seconds = 1\n')
    monkeypatch.setenv("MEDIARY_SERVER_PORT", "2")
    monkeypatch.setenv("MEDIARY_SERVER_GRACE_SECONDS", "2")

    server = load_settings(data=tmp_path, server={"grace_seconds": 3}).server

    assert (server.host, server.port, server.grace_seconds) == ("127.0.0.2", 2, 3)


def test_a_settings_file_elsewhere_is_taken_by_name(tmp_path: Path) -> None:
    other = write(tmp_path, "discover = false\n", "other.toml")

    assert load_settings(other, tmp_path / "data").discover is False


def test_the_data_folder_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIARY_DATA", str(tmp_path))
    write(tmp_path, "discover = false\n")

    settings = load_settings()

    assert (settings.data, settings.discover) == (tmp_path, False)


def test_the_settings_file_may_name_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write(tmp_path, f'data = "{tmp_path}/elsewhere"\n', "other.toml")
    monkeypatch.setenv("MEDIARY_CONFIG", str(config))

    assert load_settings().data == tmp_path / "elsewhere"
    assert load_settings(data=tmp_path).data == tmp_path


def test_networks_are_opened_by_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIARY_NET_ALLOW", '["127.0.0.0/8", "fd00::/8"]')

    assert load_settings(data=tmp_path).net.allow == (IPv4Network("127.0.0.0/8"), IPv6Network("fd00::/8"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sever]\nport = 1\n", "unknown setting sever; did you mean server?"),
        ("[server]\nprt = 1\n", "unknown setting server.prt; did you mean server.port?"),
        ('[providers.A]\nwire = "openai"\nbaseurl = "x"\n', "providers.A.baseurl; did you mean providers.A.base_url?"),
        ("[server]\nport = 70000\n", "setting server.port: "),
        ('[providers.A]\nbase_url = "http://x"\n', "setting providers.A.wire: Field required"),
        ('[net]\nallow = ["127.0.0.1/8"]\n', "setting net.allow"),
        ("[server\n", "is not TOML"),
        ('[server]\nkey = ""\n', "setting server.key: it is empty"),
        ('[server]\nkey = "  "\n', "setting server.key: it is empty"),
        ('[providers."a/b"]\nwire = "openai"\n', "a provider's name has letters"),
        ('[providers.A]\nwire = "openai"\nbase_url = "http://["\n', "providers.A.base_url: not an http(s) URL"),
        ('[providers.A]\nwire = "openai"\nbase_url = "api.example"\n', "providers.A.base_url: not an http(s) URL"),
        ('[providers.A]\nwire = "openai"\nbase_url = "http://u:pw@h/v1"\n', "a password does not belong into a URL"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path, text)

    with pytest.raises(SettingsError) as caught:
        load_settings(data=tmp_path)

    assert said in str(caught.value)


def test_an_unknown_variable_is_named_with_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIARY_SERVER_PROT", "1")

    with pytest.raises(SettingsError, match="unknown variable MEDIARY_SERVER_PROT; did you mean MEDIARY_SERVER_PORT"):
        load_settings(data=tmp_path)


def test_a_variable_that_should_hold_a_list_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIARY_NET_ALLOW", "127.0.0.0/8")

    with pytest.raises(SettingsError, match="JSON"):
        load_settings(data=tmp_path)


def test_a_settings_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no settings file .*other\.toml"):
        load_settings(tmp_path / "other.toml", tmp_path)


def test_keys_come_from_the_environment_from_files_or_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", " secret-one \n")
    key_file = write(tmp_path, "secret-two\n", "key.txt")
    write(
        tmp_path,
        f"""
        [providers.One]
        wire = "openai"
        api_key = "env:SOME_KEY"
        [providers.Two]
        wire = "openai"
        api_key = "file:{key_file}"
        [providers.Three]
        wire = "openai"
        api_key = "secret-three"
        headers = {{ x-team = "env:SOME_KEY" }}
        """,
    )

    settings = load_settings(data=tmp_path)

    keys = [table.api_key.get_secret_value() for table in settings.providers.values() if table.api_key]
    assert keys == ["secret-one", "secret-two", "secret-three"]
    assert settings.providers["Three"].headers["x-team"].get_secret_value() == "secret-one"
    assert "secret-" not in repr(settings)


@pytest.mark.parametrize("key", ["env:NOT_THERE", "env:EMPTY_KEY", "file:not-there.txt", "file:/not/there.txt"])
def test_a_key_that_is_not_there_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("EMPTY_KEY", "")
    write(tmp_path, f'[providers.A]\nwire = "openai"\napi_key = "{key}"\n')

    with pytest.raises(SettingsError, match=key.partition(":")[2]):
        load_settings(data=tmp_path)


def test_an_empty_variable_is_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIARY_SERVER_KEY", "")

    with pytest.raises(SettingsError, match=r"server\.key: it is empty"):
        load_settings(data=tmp_path)


def test_an_empty_file_is_no_key(tmp_path: Path) -> None:
    key_file = write(tmp_path, "\n", "key.txt")
    write(tmp_path, f'[server]\nkey = "file:{key_file}"\n')

    with pytest.raises(SettingsError, match=r"key\.txt is empty"):
        load_settings(data=tmp_path)


def test_a_wrong_value_is_not_repeated(tmp_path: Path) -> None:
    write(tmp_path, '[providers.A]\nwire = "openai"\napi_key = ["hunter2"]\n')

    with pytest.raises(SettingsError) as caught:
        load_settings(data=tmp_path)

    assert "hunter2" not in str(caught.value)


def test_well_known_services_are_configured_by_their_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "g")
    monkeypatch.setenv("OPENAI_API_KEY", "o")
    write(tmp_path, '[providers.Mine]\nwire = "openai"\nbase_url = "http://127.0.0.1:1/v1"\n')

    settings = load_settings(data=tmp_path)

    assert list(settings.providers) == ["Mine", "OpenAI", "Groq", "Local"]
    assert settings.providers["Groq"].base_url == "https://api.groq.com/openai/v1"


def test_a_table_stands_in_for_the_well_known_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "o")
    write(tmp_path, '[providers.openai]\nwire = "openai"\nbase_url = "http://127.0.0.1:1/v1"\n')

    assert list(load_settings(data=tmp_path).providers) == ["openai", "Local"]


@pytest.mark.parametrize(
    ("host", "key", "exposed"),
    [
        ("127.0.0.1", None, False),
        ("127.8.9.1", None, False),
        ("::1", None, False),
        ("localhost", None, False),
        ("0.0.0.0", None, True),
        ("::", None, True),
        ("example.org", None, True),
        ("0.0.0.0", "k", False),
    ],
)
def test_only_loopback_goes_without_a_key(host: str, key: str | None, exposed: bool) -> None:
    assert exposed_without_key(ServerSettings.model_validate({"host": host, "key": key})) is exposed


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("local", "local"),
        ("s3://b/p/", "s3://b/p"),
        ("s3://b", "s3://b"),
        ("s3://b//", "s3://b"),
        ("file:///", "file:///"),
    ],
)
def test_a_slash_behind_it_makes_no_other_store(written: str, meant: str) -> None:
    assert MediaSettings(store=written).store == meant


def test_settings_cannot_be_changed_later(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path)

    with pytest.raises(ValueError, match="frozen"):
        settings.server.port = 1


def test_every_setting_has_a_name_and_each_only_once() -> None:
    names = list(setting_names())

    assert len(names) == len(set(names))
    assert {"data", "server.port", "net.allow", "providers.NAME.api_key"} <= set(names)
