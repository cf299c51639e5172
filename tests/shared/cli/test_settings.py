"""Where a command has its server, token and namespace from."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from image_catalog.cli.credentials import ExecPlugin
from image_catalog.cli.errors import SettingsError
from image_catalog.cli.options import GlobalOptions
from image_catalog.cli.settings import Settings, resolve

SERVER = "https://catalog.example.com"
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def kubeconfig(name: str = "a", *, current: str | None = None, **parts: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": "https://127.0.0.1:1", **parts.get("cluster", {})}}],
        "users": [{"name": name, "user": parts.get("user", {"token": f"token-{name}"})}],
        "contexts": [
            {
                "name": name,
                "context": {"cluster": name, "user": name, "namespace": f"ns-{name}"} | parts.get("context", {}),
            }
        ],
        "current-context": name if current is None else current,
    }


class Place:
    """A home of its own, with what a test puts there.

    Parameters
    ----------
    home
        The folder.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environ = {"HOME": str(home)}

    def resolve(self, **options: Any) -> Settings:
        return resolve(GlobalOptions(**options), environ=self.environ, service_account=self.home / "pod")

    def config(self, content: object) -> Path:
        return write(self.home / ".config" / "caib" / "config.yaml", content)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def token(settings: Settings) -> str | None:
    return None if settings.credential is None else settings.credential.token()


def test_flag_beats_environment_beats_kubeconfig_beats_file(place: Place) -> None:
    def found(**options: Any) -> tuple[str, str | None, str]:
        settings = place.resolve(**options)
        return settings.server, token(settings), settings.namespace

    place.config({"server": "https://file", "token": "file", "namespace": "file"})
    assert found() == ("https://file", "file", "file")
    extension = {"name": "image-catalog", "extension": {"server": "https://kubeconfig/", "certificate-authority": "ca"}}
    write(place.home / ".kube" / "config", kubeconfig(cluster={"extensions": [extension]}))
    assert found() == ("https://kubeconfig", "token-a", "ns-a")
    assert place.resolve().certificate_authority == place.home / ".kube" / "ca"
    place.environ |= {"CAIB_SERVER": "https://environment", "CAIB_TOKEN": "environment"}
    assert found() == ("https://environment", "environment", "ns-a")
    assert found(server="https://flag", token="flag", namespace="flag") == ("https://flag", "flag", "flag")
    assert place.resolve().certificate_authority is None, "that of the extension is the extension's server's"


def test_the_file_says_the_rest_too(place: Place) -> None:
    place.environ["XDG_CONFIG_HOME"] = str(place.home / "xdg")
    content = {
        "server": SERVER, "tokenFile": "token", "insecure": True, "requestTimeout": "1m30s",
        "certificateAuthority": "ca.pem", "kubeconfig": "kube", "context": "a",
    }  # fmt: skip
    folder = write(place.home / "xdg" / "caib" / "config.yaml", content).parent
    write(folder / "kube", kubeconfig(user={}, current=""))
    write(folder / "token", "from-a-file\n")
    settings = place.resolve()
    assert (token(settings), settings.namespace, settings.insecure) == ("from-a-file", "ns-a", True)
    assert settings.request_timeout == timedelta(seconds=90)
    assert settings.certificate_authority == folder / "ca.pem"
    assert place.resolve(request_timeout=timedelta(seconds=5)).request_timeout == timedelta(seconds=5)


def test_without_anything_it_is_the_default_namespace_and_no_token(place: Place) -> None:
    settings = place.resolve(server=SERVER)
    assert (settings.namespace, settings.credential, settings.request_timeout.seconds) == ("default", None, 30)


def test_a_pod_has_its_own_token_and_namespace(place: Place) -> None:
    write(place.home / "pod" / "token", "pod")
    write(place.home / "pod" / "namespace", "ci")
    settings = place.resolve(server=SERVER)
    assert (token(settings), settings.namespace) == ("pod", "ci")


def test_of_several_kubeconfigs_the_first_wins_and_some_may_be_missing(place: Place) -> None:
    first = write(place.home / "one" / "k", kubeconfig("a", current=""))
    second = kubeconfig("b")
    second["users"].append({"name": "a", "user": {"token": "another"}})
    paths = [first, place.home / "missing", write(place.home / "two" / "k", second)]
    place.environ["KUBECONFIG"] = ":".join(map(str, paths))
    assert token(place.resolve(server=SERVER)) == "token-b", "the first current-context that is set"
    assert token(place.resolve(server=SERVER, context="a")) == "token-a"


def test_a_token_file_is_relative_to_its_kubeconfig_and_read_again(place: Place) -> None:
    write(place.home / ".kube" / "config", kubeconfig(user={"tokenFile": "t", "token": "old"}))
    write(place.home / ".kube" / "t", "one\n")
    settings = place.resolve(server=SERVER)
    assert token(settings) == "one"
    write(place.home / ".kube" / "t", "two\n")
    assert token(settings) == "two"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: [", "cannot be used"),
        ("[]", "it is no mapping"),
        ("clusters: x", "clusters is no list"),
        ("clusters: [x]", "has no name or no content"),
        (kubeconfig(current="z"), 'context "z" is not in the kubeconfig'),
        (kubeconfig(context={"user": "z"}), 'user "z" is not in the kubeconfig'),
        (kubeconfig(user={"client-certificate-data": "x"}), "a client certificate and no token"),
        (kubeconfig(user={"username": "x", "password": "y"}), "a password and no token"),
        (kubeconfig(user={"auth-provider": {"name": "x"}}), "an auth-provider"),
        (kubeconfig(user={"token": "x", "as": "other"}), 'acts as "other"'),
        (kubeconfig(user={"tokenFile": "missing"}), "cannot be read: No such file"),
        (kubeconfig(user={"exec": {"command": "x", "apiVersion": "v2"}}), "an apiVersion"),
    ],
    ids=[
        "no YAML", "no mapping", "no list", "no entry", "no context", "no user", "certificate", "password",
        "auth-provider", "impersonation", "token file", "plugin version",
    ],
)  # fmt: skip
def test_a_kubeconfig_that_cannot_be_used_is_named_with_the_remedy(place: Place, content: object, said: str) -> None:
    path = write(place.home / "k", content)
    with pytest.raises(SettingsError) as raised:
        token(place.resolve(server=SERVER, kubeconfig=path))
    assert said in raised.value.message


@pytest.mark.parametrize("named", ["flag", "environment"])
def test_a_kubeconfig_that_is_named_and_not_there_is_a_mistake(place: Place, named: str) -> None:
    options = {"kubeconfig": Path("/nowhere/k")} if named == "flag" else {}
    place.environ |= {} if options else {"KUBECONFIG": "/nowhere/k"}
    with pytest.raises(SettingsError, match="there is no kubeconfig /nowhere/k"):
        place.resolve(server=SERVER, **options)


def test_a_context_without_any_kubeconfig_is_a_mistake(place: Place) -> None:
    with pytest.raises(SettingsError, match='no kubeconfig with a context "a"'):
        place.resolve(server=SERVER, context="a")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"sever": "x"}, "unknown key sever"),
        ({"server": 1}, "server is not text"),
        ({"insecure": "yes, please"}, "insecure is not true or false"),
        ({"server": SERVER, "requestTimeout": "soon"}, "requestTimeout 'soon' is no duration"),
        ("x: [", "cannot be used"),
        ({}, "no catalog server is configured"),
        ("", "no catalog server is configured"),
    ],
    ids=["key", "text", "flag", "duration", "no YAML", "no server", "empty"],
)
def test_a_file_that_cannot_be_used_is_named(place: Place, content: object, said: str) -> None:
    place.config(content)
    with pytest.raises(SettingsError, match=said):
        place.resolve()


def test_a_file_that_cannot_be_read_is_named(place: Place) -> None:
    place.config("").unlink()
    (place.home / ".config" / "caib" / "config.yaml").mkdir()
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        place.resolve()


@pytest.mark.parametrize(
    "server",
    ["catalog", "ftp://x", "https://", "https://x?y=1", "https://me:pw@x", "https://x:port"],
    ids=str,
)
def test_a_server_that_is_no_url_is_told_without_a_password(place: Place, server: str) -> None:
    with pytest.raises(SettingsError, match="is no URL of a server") as raised:
        place.resolve(server=server)
    assert "pw" not in raised.value.message


@pytest.mark.parametrize(
    ("server", "sent"),
    [("http://127.0.0.1:80", True), ("http://localhost", True), ("https://x", True), ("http://x", False)],
    ids=str,
)
def test_a_kubeconfigs_token_is_sent_where_nobody_else_reads_it(place: Place, server: str, *, sent: bool) -> None:
    write(place.home / ".kube" / "config", kubeconfig())
    if sent:
        assert token(place.resolve(server=server)) == "token-a"
        return
    with pytest.raises(SettingsError, match="a token is not sent to http://x"):
        place.resolve(server=server)
    assert token(place.resolve(server=server, token="on-purpose")) == "on-purpose"


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[..., ExecPlugin]:
    """Make a credential plugin of a Python script, which a relative command names."""

    def make(script: str, **settings: Any) -> ExecPlugin:
        path = write(tmp_path / "bin" / "plugin", f"#!{sys.executable}\nimport json, os\n{script}\n")
        path.chmod(0o755)
        defaults = {"apiVersion": "client.authentication.k8s.io/v1", "command": "bin/plugin"}
        return ExecPlugin(settings=defaults | settings, folder=tmp_path, cluster={"server": "https://k"})

    return make


ANSWER = "print(json.dumps({'status': %s}))"


def test_a_plugin_is_told_what_it_needs_and_answers_a_token(plugin: Callable[..., ExecPlugin]) -> None:
    script = (
        "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        + ANSWER % "{'token': json.dumps([info, os.environ['A']])}"
    )
    made = plugin(script, env=[{"name": "A", "value": "b"}], provideClusterInfo=True)
    info, variable = json.loads(made.token())
    assert info["spec"] == {"interactive": False, "cluster": {"server": "https://k"}}
    assert (info["apiVersion"], variable) == ("client.authentication.k8s.io/v1", "b")


def test_a_plugin_is_asked_again_when_its_token_is_over_or_refused(
    plugin: Callable[..., ExecPlugin], tmp_path: Path
) -> None:
    def made(expires: datetime) -> ExecPlugin:
        (tmp_path / "log").write_text("")
        count = f"log = open({str(tmp_path / 'log')!r}, 'a+'); log.write('x'); log.seek(0); n = len(log.read())\n"
        return plugin(count + ANSWER % f"{{'token': str(n), 'expirationTimestamp': {expires.isoformat()!r}}}")

    lasting = made(datetime.now(UTC) + timedelta(hours=1))
    assert [lasting.token(), lasting.token(), lasting.token(refused=True)] == ["1", "1", "2"]
    over = made(datetime.now(UTC) - timedelta(hours=1))
    assert [over.token(), over.token()] == ["1", "2"]


@pytest.mark.parametrize(
    ("script", "settings", "said"),
    [
        ("raise SystemExit(3)", {}, "ended with 3"),
        ("print('x')", {}, "answers no ExecCredential"),
        ("print('{}')", {}, "answers no ExecCredential"),
        (ANSWER % "{'clientCertificateData': 'x'}", {}, "a certificate and no token"),
        (ANSWER % "{'token': 'x', 'expirationTimestamp': 'soon'}", {}, "soon is no time"),
        ("", {"command": "no-such-plugin", "installHint": "get it"}, "cannot be run: No such file"),
    ],
    ids=["fails", "no JSON", "no status", "certificate", "no time", "missing"],
)
def test_a_plugin_that_gives_no_token_is_named(
    plugin: Callable[..., ExecPlugin], script: str, settings: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError, match=said) as raised:
        plugin(script, **settings).token()
    assert raised.value.hint == settings.get("installHint", raised.value.hint)


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        pytest.param(TRACE, TRACE, id="a trace"),
        pytest.param("", None, id="nothing"),
        pytest.param("nonsense\r\nX-Evil: 1", None, id="anything else"),
    ],
)
def test_the_trace_of_a_pipeline_goes_on(place: Place, said: str, sent: str | None) -> None:
    place.environ |= {"CAIB_SERVER": SERVER, "CAIB_TOKEN": "t", "TRACEPARENT": said}
    assert place.resolve(namespace="a").traceparent == sent
