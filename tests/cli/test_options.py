from pathlib import Path

import pytest

from twoface.cli.options import Parser, add_settings, settings_of
from twoface.core.errors import InputError
from twoface.service.settings import Settings as ServiceSettings
from twoface.web.settings import Settings as WebSettings


def read(settings, *words):
    parser = Parser()
    add_settings(parser.add_argument, settings)
    return settings_of(parser.parse_args(words), settings)


@pytest.mark.parametrize("settings", [ServiceSettings, WebSettings])
def test_what_is_not_given_is_the_settings_own_default(settings):
    assert read(settings) == settings()


def test_each_kind_of_option():
    settings = read(
        ServiceSettings,
        *("--model", "m.onnx", "--host", "::1", "--grpc-port", "0", "--api-key", "keys", "--device", "cuda"),
        *("--threads", "3", "--batch-wait-ms", "5", "--timeout", "7", "--cors", "http://a", "--cors", "http://b"),
    )
    assert settings == ServiceSettings(
        model=Path("m.onnx"),
        host="::1",
        grpc_port=0,
        api_keys=Path("keys"),
        device="cuda",
        threads=3,
        batch_wait=0.005,
        timeout=7.0,
        cors=("http://a", "http://b"),
    )
    assert isinstance(settings.threads, int) and isinstance(settings.timeout, float)


def test_proxies_are_added_to_those_that_are_trusted_already():
    assert read(WebSettings, "--proxy", "10.0.0.1").proxies == ("127.0.0.1", "::1", "10.0.0.1")
    assert read(WebSettings, "--proxy", "10.0.0.0/8", "--proxy", "fd00::1").proxies[2:] == ("10.0.0.0/8", "fd00::1")


@pytest.mark.parametrize("proxy", ["notanaddress", "10.0.0.1/8", "10.0.0.1:80", "*", ""])
def test_a_proxy_without_an_address_is_refused(proxy):
    with pytest.raises(InputError, match="is no address: give the proxy's IP address"):
        read(WebSettings, "--proxy", proxy)


def test_a_key_without_its_backend_is_refused():
    assert read(WebSettings, "--backend", "http://there", "--backend-key", "key.txt").backend_key == Path("key.txt")
    with pytest.raises(InputError, match="give --backend URL too"):
        read(WebSettings, "--backend-key", "key.txt")


def test_origins_are_taken_as_browsers_send_them():
    origins = ("*", "null", "https://example.org", "http://localhost:3000", "http://[::1]:80", "app-x://a_b")
    assert ServiceSettings(cors=origins).cors == origins
    for wrong in ("nonsense", "example.org", "https://example.org/", "https://Example.org", "https://a b", "https://"):
        with pytest.raises(InputError, match=f"--cors '{wrong}' is no origin: give it as browsers send it"):
            read(ServiceSettings, "--cors", wrong)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--port", "65536"), "must be 0 to 65535, not 65536"),
        (("--port", "0.5"), "invalid whole number value: '0.5'"),
        (("--timeout", "0"), "must be 0.001 or more, not 0"),
        (("--batch-wait-ms", "-1"), "must be 0 or more, not -1"),
        (("--device", "tpu"), "invalid choice: 'tpu'"),
    ],
)
def test_a_value_out_of_bounds_is_refused_in_one_line(capsys, words, message):
    with pytest.raises(SystemExit) as ended:
        read(ServiceSettings, *words)
    error = capsys.readouterr().err
    assert ended.value.code == 2 and message in error and error.count("\n") == 1


@pytest.mark.parametrize("settings", [ServiceSettings, WebSettings])
@pytest.mark.parametrize("host", ["", " "])
def test_an_empty_address_is_refused(settings, host):
    with pytest.raises(InputError, match="^--host is empty: give an address, 127.0.0.1"):
        read(settings, "--host", host)
