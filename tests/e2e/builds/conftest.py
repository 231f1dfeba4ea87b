import os

import pytest
from support.operator_process import install
from support.result_sink import ResultSink
from support.testbed import TestBed


@pytest.fixture(scope="module")
def bed(request):
    """One of the module's own, with what its EXTRAS say: it begins without Jobs, and takes its Jobs along."""
    word = request.module.__name__.rpartition("test_")[2]
    bed = TestBed(f"t{os.getpid()}-{word}")
    bed.up(request.module.EXTRAS)
    try:
        install(bed)
        yield bed
    finally:
        bed.down()


@pytest.fixture
def sink():
    with ResultSink() as running:
        yield running
