"""The decorator that keeps the results of a function."""

import asyncio
import inspect
import os
import pickle
import sys
import tracemalloc
from itertools import count
from types import SimpleNamespace

import pytest
import transaction
from AccessControl.SecurityManagement import newSecurityManager
from AccessControl.users import SimpleUser
from AccessControl.users import system
from Acquisition import aq_base
from beaker.cache import cache_regions
from beaker.exceptions import BeakerException
from Products.Five.browser import BrowserView
from Products.Five.browser.metaconfigure import SimpleViewClass
from zope.component.hooks import getSite
from zope.component.hooks import setSite
from zope.interface import Interface
from zope.publisher.browser import TestRequest
from ZTUtils.Lazy import LazyMap

import collective.beaker
from collective.beaker.caching import by_context
from collective.beaker.caching import by_language
from collective.beaker.caching import by_user
from collective.beaker.caching import cached
from collective.beaker.interfaces import ISession
from collective.beaker.tests.helpers.zope import Visitor
from collective.beaker.tests.helpers.zope import registered_view


numbers = count()


# At module level, before any configuration is read: this is the point.
@cached("a region of the tests")
def forecast(city: str, days: int = 3) -> str:
    """Return what the weather will be."""
    return f"{city} {days} {next(numbers)}"


@cached("a region that nobody configures")
def in_no_region():
    return "a value"


class Forecasts:
    """Forecasts of one service."""

    __name__ = "forecasts"

    def __init__(self, service=""):
        self.service = service

    @cached("a region of the tests", vary=lambda self: self.service)
    def tomorrow(self):
        return f"{self.service} {next(numbers)}"

    @classmethod
    @cached("a region of the tests", vary=())
    def yesterday(cls):
        return f"{cls.__name__} {next(numbers)}"

    @staticmethod
    @cached("a region of the tests")
    def today():
        return next(numbers)


class Storms(Forecasts):
    """Other forecasts."""


@pytest.fixture(autouse=True)
def region(monkeypatch):
    """A cache region in memory, empty at first."""
    name = "a region of the tests"
    options = {"type": "memory", "expire": 3600, "of": next(numbers)}
    monkeypatch.setitem(cache_regions, name, options)
    return name


# A plain function


def test_a_cached_function_is_a_plain_function():
    assert inspect.isfunction(forecast)
    assert str(inspect.signature(forecast)) == (
        "(city: str, days: int = 3) -> str"
    )
    assert inspect.getdoc(forecast) == "Return what the weather will be."
    assert forecast.__name__ == forecast.__qualname__ == "forecast"
    assert forecast.__module__ == __name__


def test_a_cached_function_is_pickled_by_its_name():
    assert pickle.loads(pickle.dumps(forecast)) is forecast


def test_the_function_itself_is_there_without_its_cache():
    assert forecast.__wrapped__("Lisbon") != forecast.__wrapped__("Lisbon")
    assert inspect.unwrap(forecast) is forecast.__wrapped__


# Calls


def test_a_result_is_computed_once():
    assert forecast("Lisbon") == forecast("Lisbon")
    assert forecast("Lisbon") != forecast("Porto")


def test_arguments_are_the_same_however_they_are_given():
    expected = forecast("Lisbon")

    assert forecast("Lisbon", 3) == expected
    assert forecast(days=3, city="Lisbon") == expected
    assert forecast("Lisbon", days=4) != expected


def test_arguments_of_another_type_have_results_of_their_own():
    results = {forecast(value) for value in (1, 1.0, True, "1", b"1")}

    assert len(results) == 5


def test_an_argument_that_has_no_safe_key_is_an_error():
    with pytest.raises(TypeError, match=r"'city' of forecast\(\) is of type"):
        forecast(object())


def test_a_call_without_an_argument_that_is_required_is_an_error():
    with pytest.raises(TypeError, match=r"forecast\(\): missing.*'city'"):
        forecast()


def test_a_region_that_is_not_configured_is_an_error_with_both_remedies():
    with pytest.raises(BeakerException, match=r"zope\.conf, .* in ZCML\."):
        in_no_region()


def test_what_a_function_raises_reaches_the_caller(region):
    @cached(region, name="failing")
    def failing():
        raise KeyError(next(numbers))

    with pytest.raises(KeyError) as first:
        failing()
    with pytest.raises(KeyError) as second:
        failing()
    assert str(first.value) != str(second.value)


def test_none_is_a_result(region):
    calls = []

    @cached(region, name="nothing")
    def nothing():
        calls.append(1)

    assert nothing() is nothing() is None
    assert len(calls) == 1


MOST_CALLS = 10
"""How many functions of this package find a result in memory.

With these, it takes as long as with Beaker's decorator.
"""


def test_a_result_in_memory_is_found_at_once(region):
    @cached(region, name="sky")
    def sky(city):
        return "blue"

    sky("Lisbon")
    called = calls_of(lambda: sky("Lisbon"))

    assert len(called) <= MOST_CALLS, called


def calls_of(function):
    """Return the functions of this package that a function calls."""
    package = os.path.dirname(collective.beaker.__file__)
    folders = tuple(
        f"{package}/{name}" for name in ("caching", "settings", "stores")
    )
    called = []

    def note(frame, event, argument):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(folders):
            called.append(code.co_name)

    sys.setprofile(note)
    function()
    sys.setprofile(None)
    return called


# Compute anew


def test_long_arguments_are_not_kept(region):
    @cached(region, name="length")
    def length(text):
        return len(text)

    tracemalloc.start()
    for number in range(20):
        length(f"{number}" * 1_000_000)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < 1_000_000


@pytest.mark.parametrize(
    "made_of",
    [
        lambda context: context,
        lambda context: [context],
        lambda context: {"news": context},
        lambda context: aq_base(context),
        lambda context: context.REQUEST,
        lambda context: context.REQUEST.RESPONSE,
        lambda context: ISession(context.REQUEST),
    ],
    ids=[
        *("wrapped", "in a list", "in a dictionary", "stored"),
        *("a request", "a response", "a session"),
    ],
)
def test_what_belongs_to_one_request_is_not_kept_in_memory(
    memory_region, in_request, made_of, caplog
):
    computed = []

    @cached(memory_region.name, name="of a request", vary=())
    def found(context):
        computed.append("once more")
        return made_of(context)

    for _ in range(2):
        in_request(lambda request: found(request["PARENTS"][0]) and None)

    assert len(computed) == 2
    assert "iterators or objects of the ZODB" in caplog.text


def test_a_result_is_invalidated_by_its_arguments():
    lisbon, porto = forecast("Lisbon"), forecast("Porto")
    forecast.invalidate("Lisbon", days=3)

    assert forecast("Lisbon") != lisbon
    assert forecast("Porto") == porto


def test_a_result_is_refreshed():
    before = forecast("Lisbon")
    after = forecast.refresh(city="Lisbon")

    assert after != before
    assert forecast("Lisbon") == after


# Methods


def test_a_method_must_say_what_it_depends_on(region):
    with pytest.raises(TypeError, match=r"title\(\) is a method.*vary="):

        class View:
            @cached(region)
            def title(self):
                """Return what this says."""


def test_a_class_method_must_say_what_it_depends_on(region):
    with pytest.raises(TypeError, match=r"title\(\) is a method.*vary="):

        class View:
            @classmethod
            @cached(region)
            def title(cls):
                """Return what this says."""


def test_a_method_has_results_by_what_it_depends_on():
    rain, sun = Forecasts("rain"), Forecasts("sun")

    assert rain.tomorrow() == Forecasts("rain").tomorrow()
    assert rain.tomorrow() != sun.tomorrow()


def test_a_method_of_another_class_has_results_of_its_own():
    assert Forecasts("a").tomorrow() != Storms("a").tomorrow()
    assert Forecasts.yesterday() != Storms.yesterday()
    assert Forecasts.yesterday() == Forecasts.yesterday()


def test_a_view_of_another_name_has_results_of_its_own():
    one, other = Forecasts("a"), Forecasts("a")
    other.__name__ = "more-forecasts"

    assert one.tomorrow() != other.tomorrow()


def test_the_object_of_a_method_may_be_given_by_name():
    view = Forecasts("rain")

    assert Forecasts.tomorrow(self=view) == view.tomorrow()


def test_a_static_method_is_a_function():
    assert Forecasts.today() == Forecasts().today()


def test_a_result_of_a_method_is_invalidated_by_its_object():
    view = Forecasts("rain")
    before = view.tomorrow()
    Forecasts.tomorrow.invalidate(view)

    assert view.tomorrow() != before


# What cannot be cached


def generator():
    yield 1


async def coroutine():
    """Return something to wait for."""


class Callable:
    """Not a function."""

    def __call__(self):
        """Return nothing."""


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (generator, r"generator\(\) returns something.*only once"),
        (coroutine, r"coroutine\(\) returns something.*only once"),
        (Callable(), "takes a function, and not a Callable"),
        (classmethod(forecast), "and not a classmethod.*below"),
        (property(forecast), "and not a property.*below"),
        (lambda: 1, "<lambda>.* made anew each time.*name="),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_results_to_keep_is_an_error(region, thing, message):
    with pytest.raises(TypeError, match=message):
        cached(region)(thing)


def test_a_function_within_a_function_needs_a_name(region):
    def within():
        """Return nothing."""

    with pytest.raises(TypeError, match="name="):
        cached(region)(within)
    cached(region, name="within")(within)


def test_two_functions_cannot_have_one_name(region):
    def one():
        """Return nothing."""

    def other():
        """Return nothing."""

    cached(region, name="taken")(one)
    with pytest.raises(TypeError, match=r"other\(\).*have the name.*one"):
        cached(region, name="taken")(other)


@pytest.mark.parametrize("option", ["vary", "tags"])
def test_what_is_no_function_of_the_arguments_is_an_error(region, option):
    with pytest.raises(TypeError, match=f"{option}= takes functions"):
        cached(region, name="wrong", **{option: ["news"]})


def test_what_a_vary_function_returns_must_have_a_safe_key(region):
    def by_object(name):
        return object()

    @cached(region, vary=by_object, name="by object")
    def title(name):
        """Return a title."""

    with pytest.raises(TypeError, match=r"by_object\(\) returned for"):
        title("news")


def test_a_tag_must_be_a_text(region):
    @cached(region, tags=lambda: [1], name="with a tag")
    def title():
        """Return a title."""

    with pytest.raises(TypeError, match="A tag is a text"):
        title()


def test_one_class_with_two_templates_has_results_for_each(tmp_path, region):
    class News(BrowserView):
        @cached(region, vary=(), name="of a template")
        def shown(self):
            return self.index()

    def view_of(template):
        path = tmp_path / template
        path.write_text(f"<p>{template}</p>")
        # As ZCML does: there may be another for phones, by a layer.
        kind = SimpleViewClass(str(path), bases=(News,), name="news")
        return kind(SimpleNamespace(), TestRequest())

    for template in ("wide.pt", "narrow.pt"):
        assert template in view_of(template).shown()


# In a site


def test_a_published_method_gets_what_the_form_holds(application):
    class Listing(BrowserView):
        __roles__ = None

        @cached("a region of the tests", vary=(), name="a published method")
        def __call__(self, page="1", *, of="all"):
            return f"page {page} of {of}"

    with registered_view(Listing, Interface, "listing"):
        get = Visitor(application).browser.get
        pages = [get(f"/@@listing{query}").text for query in ("", "?page=2")]

    assert pages == ["page 1 of all", "page 2 of all"]


@pytest.fixture
def in_request(application, sites):
    """Return a function that calls a function in a request to a site."""

    def in_request(function, path="/plain", **options):
        found = []

        def view(request):
            found.append(function(request))

        Visitor(application).visit(view, path, **options)
        return found[-1]

    return in_request


def test_sites_share_nothing(in_request):
    plain, special, root = (
        in_request(lambda request: forecast("Lisbon"), path)
        for path in ("/plain", "/special", "")
    )

    assert len({plain, special, root}) == 3
    assert in_request(lambda request: forecast("Lisbon")) == plain


def test_a_result_in_memory_is_found_at_once_in_a_site(region, in_request):
    @cached(region, name="sky in a site")
    def sky(city):
        return "blue"

    def look_again(request):
        sky("Lisbon")
        return calls_of(lambda: sky("Lisbon"))

    called = in_request(look_again)
    # One more, which knows the site.
    assert len(called) <= MOST_CALLS + 1, called


def test_a_site_that_was_moved_finds_no_results_of_its_former_place(
    in_request,
):
    def exchange(request):
        newSecurityManager(request, system)
        root = request["PARENTS"][-1]
        for old, new in (
            ("plain", "moved"),
            ("special", "plain"),
            ("moved", "special"),
        ):
            root.manage_renameObject(old, new)

    def forecast_in_site(request):
        # Without a request in between, as in a script.
        app = request["PARENTS"][-1]
        setSite(app.plain)
        found = [forecast("Lisbon")]
        exchange(request)
        transaction.commit()
        found += [forecast("Lisbon")]
        exchange(request)
        transaction.commit()
        return found

    first, second = in_request(forecast_in_site)
    assert first != second


def test_no_site_is_kept_with_the_request_that_it_was_found_by(in_request):
    def forecast_and_count(request):
        site = getSite()
        before = sys.getrefcount(site)
        forecast("Lisbon")
        return sys.getrefcount(site) - before

    assert in_request(forecast_and_count) == 0


def test_sites_share_what_is_said_to_be_the_same_everywhere(
    region, in_request
):
    @cached(region, across_sites=True, name="across")
    def rates(currency):
        return next(numbers)

    assert in_request(lambda request: rates("EUR"), "/plain") == in_request(
        lambda request: rates("EUR"), "/special"
    )


def test_objects_are_no_part_of_the_key_where_vary_speaks_for_them(
    region, in_request
):
    @cached(region, vary=by_context, name="teaser")
    def teaser(context, request, length=10):
        return f"{context.getId()} {length} {next(numbers)}"

    def view(request):
        return teaser(request["PARENTS"][0], request)

    plain = in_request(view)
    assert in_request(view) == plain
    assert in_request(view, "/special") != plain


class Teaser(BrowserView):
    """A view that shows something for each user."""

    @cached("a region of the tests", vary=(by_context, by_user))
    def text(self):
        return f"{self.context.getId()} {next(numbers)}"


class Row(BrowserView):
    @cached("a region of the tests", vary=by_context)
    def shown(self, context):
        return f"{context.getId()} {next(numbers)}"

    @cached("a region of the tests", vary=by_language)
    def greeting(self, request):
        return f"{request.get('HTTP_ACCEPT_LANGUAGE')} {next(numbers)}"


def test_the_context_is_the_argument_of_this_name_and_not_that_of_the_view(
    in_request,
):
    def show_both(request):
        root = request["PARENTS"][-1]
        row = Row(root, request)
        return [
            row.shown(root.plain),
            row.shown(root.special),
            row.shown(context=root.plain),
        ]

    plain, special, by_name = in_request(show_both)
    assert plain.startswith("plain")
    assert special.startswith("special")
    assert by_name == plain


def test_no_other_object_speaks_for_an_argument_without_a_path(in_request):
    def show(request):
        with pytest.raises(TypeError, match="no context"):
            Row(request["PARENTS"][-1], request).shown(object())

    in_request(show)


def test_the_request_is_the_argument_of_this_name_and_not_that_of_the_view(
    in_request,
):
    def greet_both(request):
        row = Row(request["PARENTS"][-1], request)
        return [
            row.greeting(TestRequest(HTTP_ACCEPT_LANGUAGE=language))
            for language in ("de", "pt")
        ]

    german, portuguese = in_request(greet_both)
    assert german.startswith("de")
    assert portuguese.startswith("pt")


def test_a_view_has_results_for_each_context_and_user(in_request):
    def view(request):
        return Teaser(request["PARENTS"][0], request).text()

    def view_as_alice(request):
        users = request["PARENTS"][-1].acl_users
        alice = SimpleUser("alice", "", ["Member"], [])
        newSecurityManager(request, alice.__of__(users))
        return view(request)

    anonymous = in_request(view)
    assert in_request(view) == anonymous
    assert in_request(view, "/special") != anonymous
    assert in_request(view_as_alice) != anonymous
    assert in_request(view_as_alice) == in_request(view_as_alice)


def test_an_invalidation_counts_if_the_transaction_commits(in_request):
    before = in_request(lambda request: forecast("Lisbon"))

    def invalidate_and_abort(request):
        forecast.invalidate("Lisbon")
        transaction.abort()

    in_request(invalidate_and_abort)
    assert in_request(lambda request: forecast("Lisbon")) == before

    in_request(lambda request: forecast.invalidate("Lisbon"))
    assert in_request(lambda request: forecast("Lisbon")) != before


def test_a_transaction_sees_what_it_has_invalidated(in_request):
    before = in_request(lambda request: forecast("Lisbon"))

    def invalidate(request):
        forecast.invalidate("Lisbon")
        return forecast("Lisbon")

    assert in_request(invalidate) != before


def test_a_refresh_in_a_transaction_that_changes_something_is_not_stored(
    in_request,
):
    before = in_request(lambda request: forecast("Lisbon"))

    def refresh(request):
        request["PARENTS"][0].title = "new"
        return forecast.refresh("Lisbon")

    during = in_request(refresh)
    after = in_request(lambda request: forecast("Lisbon"))
    assert len({before, during, after}) == 3


def test_a_refresh_in_a_transaction_that_aborts_changes_nothing(in_request):
    before = in_request(lambda request: forecast("Lisbon"))

    def refresh(request):
        request["PARENTS"][0].title = "new"
        forecast.refresh("Lisbon")
        transaction.abort()

    in_request(refresh)
    assert in_request(lambda request: forecast("Lisbon")) == before


def test_a_refresh_in_a_site_is_stored(in_request):
    before = in_request(lambda request: forecast("Lisbon"))
    after = in_request(lambda request: forecast.refresh("Lisbon"))

    assert after != before
    assert in_request(lambda request: forecast("Lisbon")) == after


def test_what_can_be_used_only_once_is_not_kept_in_memory(region):
    @cached(region, name=region)
    def numbers():
        return map(str, range(2))

    assert [list(numbers()), list(numbers())] == [["0", "1"]] * 2


@pytest.mark.parametrize(
    "collect",
    [
        lambda found: [found],
        lambda found: ("total", [found]),
        lambda found: {"title": "News", "rows": [{"title": "", "row": found}]},
    ],
    ids=["list", "list in tuple", "dictionary in list in dictionary"],
)
def test_nor_is_a_collection_of_it(collect, region, request):
    """Code makes dictionaries of what a search finds, and keeps the brains."""

    @cached(region, name=request.node.name)
    def found():
        return collect(map(str, range(2)))

    assert found() is not found()


def test_a_collection_that_contains_itself_is_kept_in_memory(region):
    @cached(region, name="itself")
    def found():
        itself = []
        itself.append(itself)
        return itself

    assert found() is found()


def test_a_coroutine_is_not_kept_in_memory(region):
    async def number():
        return 1

    @cached(region, name="coroutine")
    def found():
        return number()

    assert [asyncio.run(found()), asyncio.run(found())] == [1, 1]


def test_no_result_of_a_search_is_kept_in_memory(region):
    """It makes the brains when they are asked for, in any thread."""

    @cached(region, name="found")
    def found():
        return LazyMap(str, range(2))

    assert found() is not found()
