"""What the making of sounds costs."""

import subprocess
import sys

import pytest

from mediary.sounds import FORMATS

_ENCODE = """
import resource, sys
from mediary.sounds import FORMATS

def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

with FORMATS[sys.argv[1]].streamed(22050) as encoder:
    encoder.encode(bytes(1_000_000))
    samples = bytes(16_000_000)
    before = most()
    encoder.encode(samples)
    print((most() - before) * 1024)
"""


@pytest.mark.parametrize("kind", sorted(FORMATS.keys() - {"wav"}))
def test_memory_does_not_grow_with_what_is_encoded_at_once(kind: str):
    """Twenty who are read to at the same time would have it twenty times."""
    told = subprocess.run([sys.executable, "-c", _ENCODE, kind], check=True, capture_output=True, text=True)
    assert int(told.stdout) < 8_000_000
