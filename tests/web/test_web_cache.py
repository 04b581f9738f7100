import numpy as np
import pytest

from twoface.core.errors import InputError
from twoface.core.images import Photo
from twoface.web.cache import FILLS, Cache, Filled


def photo(size=1000):
    return Photo(np.zeros((1, size, 3), np.uint8))


def filled(size=10):
    return Filled((0, 0, size, 1), np.zeros((1, size, 3), np.uint8), {})


def gone(code, function, *arguments):
    with pytest.raises(InputError) as caught:
        function(*arguments)
    assert caught.value.code == code


def test_photos_are_found_by_their_session():
    cache, kept = Cache(), photo()
    id = cache.add("a", kept)
    assert cache.photo("a", id) is kept
    gone("photo_gone", cache.photo, "b", id)
    gone("photo_gone", cache.photo, "a", "0")


def test_ids_are_long_and_random():
    cache = Cache()
    ids = {cache.add("a", photo(1)) for _ in range(100)}
    assert len(ids) == 100 and {len(id) for id in ids} == {32}


def test_the_least_recently_used_goes_first():
    cache = Cache(limit=7000)
    first, second = cache.add("a", photo()), cache.add("a", photo())
    cache.photo("a", first)
    third = cache.add("a", photo())
    gone("photo_gone", cache.photo, "a", second)
    cache.photo("a", first)
    cache.photo("a", third)


def test_the_last_one_stays_however_large():
    cache = Cache(limit=10)
    id = cache.add("a", photo())
    assert cache.photo("a", id)


def test_fills_count_and_go_with_their_photo():
    cache = Cache(limit=7000)
    first, second = cache.add("a", photo()), cache.add("a", photo())
    one = cache.add_fill("a", second, filled(10))
    assert cache.fill("a", one)[0] is cache.photo("a", second)
    cache.add_fill("a", second, filled(1000))
    gone("photo_gone", cache.photo, "a", first)
    cache.forget("a", second)
    gone("fill_gone", cache.fill, "a", one)


def test_only_the_latest_fills_are_kept():
    cache = Cache()
    id = cache.add("a", photo())
    ids = [cache.add_fill("a", id, filled()) for _ in range(FILLS + 1)]
    gone("fill_gone", cache.fill, "a", ids[0])
    for kept in ids[1:]:
        cache.fill("a", kept)


def test_a_fill_of_a_photo_that_is_gone():
    cache = Cache()
    gone("photo_gone", cache.add_fill, "a", "0", filled())
    gone("fill_gone", cache.fill, "a", "0-1")


def test_photos_are_forgotten_with_time_unless_used():
    now = [0.0]
    cache = Cache(seconds=10, clock=lambda: now[0])
    used, idle = cache.add("a", photo()), cache.add("a", photo())
    now[0] = 9
    cache.photo("a", used)
    now[0] = 11
    cache.sweep()
    assert cache.photo("a", used)
    gone("photo_gone", cache.photo, "a", idle)
