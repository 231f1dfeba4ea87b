"""hack/check-includes lets the tree pass as it is, and refuses what breaks each of its rules."""
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path):
    for folder in ("lib", "builder", "operator", "cli"):
        if (ROOT / folder).is_dir():
            shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "hack").mkdir()
    shutil.copy(ROOT / "hack/check-includes", tmp_path / "hack")
    return tmp_path


def check(tree):
    return subprocess.run([tree / "hack/check-includes"], capture_output=True, text=True, timeout=60, check=False)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def prepend(path, text):
    path.write_text(text + path.read_text())


def a_source_of(folder):
    return next(iter(sorted(folder.glob("*.cpp"))))


def assert_refused(tree, place, *reasons):
    result = check(tree)
    assert result.returncode == 1, result.stdout
    lines = [line for line in result.stderr.splitlines() if line.startswith(f"{place}: ")]
    for reason in reasons:
        assert any(reason in line for line in lines), result.stderr
    assert "remedy: " in result.stderr


def test_the_tree_as_it_is_passes(tree):
    result = check(tree)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("header", ["cpprest/http_client.h", "amqp.h", "boost/asio.hpp", "boost/beast/core.hpp"])
def test_a_pure_folder_may_not_include_a_network_library(tree, header):
    source = a_source_of(tree / "builder/event")
    prepend(source, f"#include <{header}>\n")
    assert_refused(tree, f"builder/event/{source.name}:1", "builder/event is pure", f"<{header}>")


def test_a_pure_folder_may_not_reach_a_network_library_through_our_headers(tree):
    write(tree / "lib/wire/a.h", '#include "wire/b.h"\n')
    write(tree / "lib/wire/b.h", "#pragma once\n#include <boost/asio/ip/tcp.hpp>\n")
    source = a_source_of(tree / "builder/job")
    prepend(source, '#include "wire/a.h"\n')
    assert_refused(tree, f"builder/job/{source.name}:1", "by lib/wire/a.h:1, by lib/wire/b.h:2")


@pytest.mark.parametrize(
    ("path", "header", "library"),
    [
        ("lib/http/client.cpp", "cpprest/http_client.h", "cpprestsdk"),
        ("lib/kube/client.cpp", "cpprest/http_client.h", "cpprestsdk"),
        ("builder/intake/consumer.cpp", "amqp_tcp_socket.h", "librabbitmq"),
        ("builder/pool/connection.cpp", "boost/beast.hpp", "Boost.Beast"),
        ("lib/kube/watch.h", "boost/beast/http.hpp", "Boost.Beast"),
    ],
)
def test_a_network_library_belongs_in_sources_of_its_own_library(tree, path, header, library):
    write(tree / path, f"// a file\n  #  include <{header}>\n")
    assert_refused(tree, f"{path}:2", f"{library} belongs in .cpp files of")


def test_a_network_library_may_stand_where_it_belongs(tree):
    write(tree / "lib/rest/extra.cpp", "#include <cpprest/json.h>\n")
    write(tree / "lib/kube/extra.cpp", "#include <boost/beast.hpp>\n")
    write(tree / "lib/amqp/extra.cpp", "#include <amqp.h>\n")
    assert check(tree).returncode == 0


def test_lib_knows_no_program(tree):
    write(tree / "builder/extra/extra.h", "#pragma once\n")
    write(tree / "lib/base/extra.cpp", '#include "extra/extra.h"\n')
    assert_refused(tree, "lib/base/extra.cpp:1", "lib -> builder is no arrow of the map")


def test_programs_do_not_include_each_other(tree):
    write(tree / "builder/extra/extra.h", "#pragma once\n")
    write(tree / "operator/builds/extra.cpp", '#include "extra/extra.h"\n')
    assert_refused(tree, "operator/builds/extra.cpp:1", "operator -> builder is no arrow of the map")


def test_folders_form_no_circle(tree):
    write(tree / "lib/one/one.h", '#pragma once\n#include "two/two.h"\n')
    write(tree / "lib/two/two.h", "#pragma once\n")
    assert check(tree).returncode == 0
    write(tree / "lib/two/two.cpp", '#include "one/one.h"\n')
    assert_refused(tree, "lib/one/one.h:2", "lib/one -> lib/two -> lib/one")
