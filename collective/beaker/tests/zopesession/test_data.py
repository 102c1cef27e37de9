"""request.SESSION, as code for Zope's own sessions uses it."""

import pytest
import transaction
from OFS.DTMLMethod import DTMLMethod
from Products.PageTemplates.ZopePageTemplate import ZopePageTemplate
from Products.PythonScripts.PythonScript import PythonScript

from collective.beaker.interfaces import ENVIRON_KEY
from collective.beaker.interfaces import ISession
from collective.beaker.tests.helpers.zope import Visitor
from collective.beaker.tests.helpers.zope_sessions import put_item


pytestmark = pytest.mark.usefixtures("zope_sessions")


def read_item(request):
    return repr(request.SESSION.get("item"))


def test_what_is_written_is_saved_by_itself(visitor):
    visitor.visit(put_item)

    assert visitor.visit(read_item).text == "'tea'"


WRITES = {
    "set": lambda data: data.set("item", "tea"),
    "update": lambda data: data.update({"item": "tea"}),
    "setdefault": lambda data: data.setdefault("item", "tea"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_each_way_to_write_is_saved(visitor, write):
    visitor.visit(lambda request: write(request.SESSION) and None)

    assert visitor.visit(read_item).text == "'tea'"


def test_an_update_leaves_the_keys_of_beaker_alone(visitor):
    """A form may come from anyone."""
    form = {"_creation_time": 0, "_domain": "example.org", "item": "tea"}

    def update(request):
        request.SESSION.update(form)
        return ISession(request)["_creation_time"]

    assert visitor.visit(update).text != "0"
    assert visitor.visit(read_item).text == "'tea'"


def delete_by_statement(data):
    del data["item"]


REMOVALS = {
    "del": delete_by_statement,
    "delete": lambda data: data.delete("item"),
    "pop": lambda data: data.pop("item"),
    "clear": lambda data: data.clear(),
}


@pytest.mark.parametrize("remove", REMOVALS.values(), ids=REMOVALS)
def test_each_way_to_remove_is_saved(visitor, remove):
    visitor.visit(put_item)
    visitor.visit(lambda request: remove(request.SESSION) and None)

    assert visitor.visit(read_item).text == "None"


def test_a_change_inside_a_value_is_saved_with_p_changed(visitor):
    def put_cart(request):
        request.SESSION["cart"] = []

    def add(request):
        request.SESSION["cart"].append("tea")
        request.SESSION._p_changed = True

    visitor.visit(put_cart)
    visitor.visit(add)

    assert visitor.visit(lambda request: request.SESSION["cart"][0]).text == (
        "tea"
    )


def test_reading_begins_no_session(visitor):
    def read_everything(request):
        data = request.SESSION
        return f"{data.get('item')} {data.items()} {len(data)} {'x' in data}"

    response = visitor.visit(read_everything)

    assert response.text == "None [] 0 False"
    assert "Set-Cookie" not in response.headers


def test_keys_of_beaker_are_not_shown(visitor):
    visitor.visit(put_item)

    def see(request):
        data = request.SESSION
        hidden = [data.get("_creation_time"), "_accessed_time" in data]
        return f"{data.keys()} {data.values()} {list(data)} {hidden}"

    text = visitor.visit(see).text
    assert text == "['item'] ['tea'] ['item'] [None, False]"


def test_a_missing_key_is_an_error_as_in_a_dictionary(visitor):
    def look(request):
        with pytest.raises(KeyError):
            request.SESSION["item"]
        with pytest.raises(KeyError):
            del request.SESSION["_creation_time"]
        with pytest.raises(KeyError):
            request.SESSION.pop("item")
        return request.SESSION.pop("item", "none")

    assert visitor.visit(look).text == "none"


def test_it_is_true_even_if_it_is_empty(visitor):
    assert (
        visitor.visit(lambda request: str(bool(request.SESSION))).text
        == "True"
    )


def test_it_is_the_session_of_beaker(visitor):
    visitor.visit(put_item)

    def compare(request):
        assert ISession(request)["item"] == "tea"
        return request.SESSION.getId() == ISession(request).id

    assert visitor.visit(compare).text == "True"


def test_a_session_that_was_invalidated_is_gone(visitor):
    visitor.visit(put_item)

    def invalidate(request):
        request.SESSION.invalidate()
        return str(request.SESSION.isValid())

    response = visitor.visit(invalidate)

    assert response.text == "False"
    assert not visitor.cookies
    assert visitor.visit(read_item).text == "None"


def test_what_is_written_after_invalidate_begins_a_new_session(visitor):
    visitor.visit(put_item)
    before = visitor.cookies.copy()

    def begin_anew(request):
        request.SESSION.invalidate()
        request.SESSION.set("other", 1)
        return request.SESSION.isValid()

    assert visitor.visit(begin_anew).text == "True"
    assert visitor.cookies != before
    assert visitor.visit(lambda request: request.SESSION.items()).text == (
        "[('other', 1)]"
    )


def test_an_end_that_was_taken_back_is_none(config, visitor):
    config["transactional"] = True
    visitor.visit(put_item)

    def take_back(request):
        data = request.SESSION
        before = transaction.savepoint()
        data.invalidate()
        before.rollback()
        assert data.isValid()
        data.set("more", 2)

    visitor.visit(take_back)

    assert visitor.visit(read_item).text == "'tea'"


def test_an_end_to_which_a_transaction_goes_back_is_one(config, visitor):
    config["transactional"] = True
    visitor.visit(put_item)

    def go_back(request):
        data = request.SESSION
        data.invalidate()
        before = transaction.savepoint()
        data.set("lost", 1)
        before.rollback()
        assert not data.isValid()
        data.set("other", 2)

    visitor.visit(go_back)

    assert visitor.visit(lambda request: request.SESSION.items()).text == (
        "[('other', 2)]"
    )


def test_its_times_are_those_of_the_session(visitor):
    visitor.visit(put_item)

    def compare(request):
        data, session = request.SESSION, ISession(request)
        data.setLastAccessed()
        return (
            data.getCreated() == session.created
            and data.getLastAccessed() == session.last_accessed
        )

    assert visitor.visit(compare).text == "True"


def test_the_session_in_the_environment_has_set_too(visitor):
    def put(request):
        request.environ[ENVIRON_KEY].set("item", "tea")

    visitor.visit(put)

    assert visitor.visit(read_item).text == "'tea'"


def test_a_request_that_never_uses_it_opens_nothing(visitor):
    def is_used(request):
        assert "SESSION" in request.other
        return str(ISession(request).accessed())

    assert visitor.visit(is_used).text == "False"


# In restricted code


SCRIPT = """\
session = context.REQUEST.SESSION
session['count'] = session.get('count', 0) + 1
session.set('who', 'me')
session['gone'] = 1
del session['gone']
names = [name for name in session]
return '%s %s %s' % (session['count'], names, session.has_key('who'))
"""


@pytest.fixture
def script(visitor):
    def add(request):
        app = request["PARENTS"][-1]
        made = PythonScript("count")
        made.write(SCRIPT)
        app._setObject("count", made)
        app._setObject(
            "page",
            ZopePageTemplate(
                "page", "<p tal:content='request/SESSION/count'></p>"
            ),
        )
        app._setObject(
            "method", DTMLMethod("<dtml-var \"REQUEST.SESSION['count']\">")
        )

    Visitor(visitor.browser.app).visit(add)
    yield "/count"
    Visitor(visitor.browser.app).visit(
        lambda request: request["PARENTS"][-1].manage_delObjects(
            ["count", "page", "method"]
        )
    )


def test_a_script_in_the_database_may_use_it(visitor, script):
    texts = [visitor.browser.get(script).text for _ in range(2)]

    assert texts == ["1 ['count', 'who'] True", "2 ['count', 'who'] True"]


@pytest.mark.parametrize("name", ["page", "method"])
def test_templates_in_the_database_may_read_it(visitor, script, name):
    visitor.browser.get(script)

    assert "1" in visitor.browser.get(f"/{name}").text
