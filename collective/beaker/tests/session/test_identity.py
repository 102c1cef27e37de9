"""Who is let in: ids, their ends, and what gives them away."""

import logging
import re
import traceback
from base64 import b64encode
from urllib.parse import quote

import pytest
from beaker.session import Session
from beaker.session import SignedCookie

from collective.beaker.interfaces import ISession
from collective.beaker.tests.helpers.logs import log_of
from collective.beaker.tests.helpers.records import records_of
from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import delete
from collective.beaker.tests.helpers.views import put_into_basket
from collective.beaker.tests.helpers.views import read_count
from collective.beaker.tests.helpers.views import read_id
from collective.beaker.tests.helpers.views import setting
from collective.beaker.tests.helpers.visitors import COOKIE
from collective.beaker.tests.helpers.visitors import is_tombstone
from collective.beaker.tests.helpers.visitors import session_cookie
from collective.beaker.tests.helpers.visitors import session_id


ODD_IDS = {
    "invented": "0123456789abcdef" * 2,
    "invented, of older form": "0123456789" * 4,
    "upper case": "0123456789ABCDEF" * 2,
    "31 digits": "0" * 31,
    "33 digits": "0" * 33,
    "5,000 digits": "0" * 5000,
    "path": "../../etc/x",
    "path of 32 characters": "../" * 10 + "xx",
    "absolute path": "/etc/passwd",
    "NUL": "\0",
    "32 digits and NUL": "0" * 32 + "\0",
    "32 digits and a line break": "0" * 32 + "\n",
    "empty": "",
    "blank": " ",
    "non-ASCII": "ü" * 32,
    "digits of another script": "\N{ARABIC-INDIC DIGIT ZERO}" * 32,
    "glob": "*" * 32,
}

odd_ids = pytest.mark.parametrize("id", ODD_IDS.values(), ids=ODD_IDS)


@pytest.fixture(params=["a secret of the tests", None], ids=bool)
def secret(request, config):
    """With ids that are signed, and with others."""
    config["secret"] = request.param
    return request.param


def header_for(id, secret):
    """Return the header of a browser that presents an id.

    As if its visitor knew how to sign it: the signature is no excuse.
    """
    value = SignedCookie(secret).value_encode(id)[1] if secret else id
    return {"Cookie": f"{COOKIE}={quote(value)}"}


def call(method):
    """Return a view that calls a method of the session."""

    def view(request):
        getattr(ISession(request), method)()

    return view


def leftovers(store):
    """Return what a store holds: its records, and all files and folders."""
    return records_of(store).ids(), sorted(store.folder.rglob("*"))


# Ids that nobody was given


@odd_ids
def test_an_id_that_is_not_stored_is_no_session(
    one_store, visitor, other_visitor, secret, id
):
    other_visitor.visit(count)
    before = leftovers(one_store)
    response = visitor.visit(read_count, headers=header_for(id, secret))

    assert response.text == "None"
    assert session_cookie(response) is None
    assert leftovers(one_store) == before


@odd_ids
def test_a_visitor_with_an_id_that_is_not_stored_gets_another(
    one_store, config, visitor, id
):
    before = records_of(one_store).ids()
    headers = header_for(id, config["secret"])
    response = visitor.visit(count, headers=headers)

    assert response.text == "1"
    assert session_cookie(response) is not None
    assert session_id(visitor) != id
    after = records_of(one_store).ids()
    assert after - before == {session_id(visitor)}


@odd_ids
def test_get_by_id_gives_none_for_an_id_that_is_not_stored(
    either_store, visitor, id
):
    def look(request):
        return str(ISession(request).get_by_id(id))

    visitor.visit(count)
    before = sorted(either_store.folder.rglob("*"))

    assert visitor.visit(look).text == "None"
    assert sorted(either_store.folder.rglob("*")) == before


def store_with_beaker(store, config, id):
    """Have Beaker itself store a session under an id of our choice."""
    options = dict(vars(store))
    del options["folder"]
    session = Session({}, id=id, use_cookies=False, **options)
    session["count"] = 7
    session.save()


@pytest.mark.parametrize("digits", [32, 40])
def test_an_id_of_each_of_beakers_forms_is_a_session_if_it_is_stored(
    server_store, config, visitor, secret, digits
):
    id = "0123456789abcdef0123456789abcdef01234567"[:digits]
    store_with_beaker(server_store, config, id)
    header = header_for(id, secret)

    assert visitor.visit(count, headers=header).text == "8"
    assert visitor.visit(read_count, headers=header).text == "8"
    records_of(server_store).remove(id)


@pytest.mark.parametrize("id", ["admin", "0" * 31, "0123456789ABCDEF" * 2])
def test_an_id_of_another_form_is_no_session_although_it_is_stored(
    one_store, config, visitor, secret, id
):
    store_with_beaker(one_store, config, id)
    header = header_for(id, secret)

    assert visitor.visit(read_count, headers=header).text == "None"
    records_of(one_store).remove(id)


def test_an_expired_id_is_no_session_and_not_given_again(
    server_store, config, visitor, secret, clock
):
    config["timeout"] = 60
    visitor.visit(count)
    former = session_id(visitor)
    clock(61)
    response = visitor.visit(read_count)

    assert response.text == "None"
    assert session_cookie(response) is None
    assert visitor.visit(count).text == "1"
    assert session_id(visitor) != former


def test_a_tampered_signature_is_logged_once_with_the_clients_address(
    server_store, visitor, caplog
):
    visitor.visit(count)
    id = session_id(visitor)
    header = {"Cookie": f"{COOKIE}={'0' * 40}{id}"}
    response = visitor.visit(
        count, headers=header, extra_environ={"REMOTE_ADDR": "192.0.2.7"}
    )

    assert response.text == "1"
    assert session_id(visitor) != id
    [record] = log_of(caplog)
    assert record.levelno == logging.WARNING
    assert "signature" in record.getMessage()
    assert "192.0.2.7" in record.getMessage()
    assert id not in record.getMessage()


@pytest.mark.parametrize("form", ["new", "invalidate", "regenerate_id"])
def test_new_ids_are_random_throughout(either_store, visitor, form):
    """A UUID is not: its 13th digit is always a 4."""
    visitor.visit(count)
    ids = []
    for _ in range(12):
        if form == "new":
            visitor.browser.reset()
            visitor.visit(count)
        else:
            visitor.visit(call(form))
            visitor.visit(count)
        ids.append(visitor.visit(read_id).text)

    assert all(re.fullmatch("[0-9a-f]{32}", id) for id in ids)
    assert len(set(ids)) == 12
    assert all(len(set(digits)) > 1 for digits in zip(*ids, strict=True))


# The end of a session


def test_the_record_of_a_session_that_ends_is_removed(server_store, visitor):
    visitor.visit(count)
    former = session_id(visitor)
    visitor.visit(delete)

    assert former not in records_of(server_store).ids()


def test_the_record_of_a_session_that_is_saved_and_ends_is_removed(
    server_store, visitor
):
    def end(request):
        count(request)
        delete(request)
        ISession(request).save()

    visitor.visit(count)
    former = session_id(visitor)
    visitor.visit(end)

    assert former not in records_of(server_store).ids()


def test_regenerate_id_moves_the_record(server_store, config, visitor):
    visitor.visit(count)
    former = session_id(visitor)
    before = records_of(server_store).ids()
    visitor.visit(call("regenerate_id"))
    after = records_of(server_store).ids()

    assert after - before == {session_id(visitor)}
    assert is_tombstone(config, former)
    assert visitor.visit(read_count).text == "1"


@pytest.mark.parametrize("method", ["delete", "invalidate", "regenerate_id"])
def test_the_end_of_a_session_leaves_all_others(
    server_store, visitor, other_visitor, method
):
    other_visitor.visit(count)
    visitor.visit(count)
    visitor.visit(call(method))

    assert other_visitor.visit(count).text == "2"


@pytest.mark.parametrize("method", ["delete", "invalidate", "regenerate_id"])
def test_the_end_of_a_session_leaves_what_others_keep_on_the_server(
    crowded_store, visitor, method
):
    client = records_of(crowded_store).client
    client.set("neighbour", "here")
    visitor.visit(count)
    visitor.visit(call(method))

    assert client.get("neighbour") == b"here"


def test_a_session_that_is_deleted_by_its_id_is_removed(
    server_store, visitor, other_visitor
):
    def delete_other(request):
        ISession(request).get_by_id(id).delete()

    visitor.visit(count)
    id = session_id(visitor)
    other_visitor.visit(delete_other)

    assert id not in records_of(server_store).ids()
    assert visitor.visit(read_count).text == "None"


def test_a_session_ends_an_absolute_time_after_its_creation(
    any_store, config, visitor, clock
):
    config.update(absolute_timeout=100, timeout=50)
    counts = []
    for _ in range(12):
        counts.append(visitor.visit(count).text)
        clock(10.1)

    assert counts == [*map(str, range(1, 11)), "1", "2"]


def test_a_session_that_is_read_ends_an_absolute_time_after_its_creation(
    any_store, config, visitor, clock
):
    config["absolute_timeout"] = 100
    visitor.visit(count)
    clock(99)
    assert visitor.visit(read_count).text == "1"
    clock(2)
    response = visitor.visit(read_count)

    assert response.text == "None"
    assert session_cookie(response) is None


def test_a_new_id_does_not_put_the_absolute_end_off(
    any_store, config, visitor, clock
):
    config["absolute_timeout"] = 100
    visitor.visit(count)
    clock(99)
    visitor.visit(call("regenerate_id"))
    assert visitor.visit(read_count).text == "1"
    clock(2)

    assert visitor.visit(read_count).text == "None"


def test_get_by_id_gives_none_after_the_absolute_end(
    server_store, config, visitor, other_visitor, clock
):
    def look(request):
        return str(ISession(request).get_by_id(id))

    config["absolute_timeout"] = 100
    visitor.visit(count)
    id = session_id(visitor)
    clock(101)

    assert other_visitor.visit(look).text == "None"


def test_without_an_absolute_timeout_a_session_lasts(
    any_store, visitor, clock
):
    visitor.visit(count)
    clock(20 * 365 * 24 * 3600)

    assert visitor.visit(count).text == "2"


# Reading creates nothing


READERS = {
    "read": read_count,
    "read the id": read_id,
    "take a default": lambda request: ISession(request).get("a", 1) and None,
    "look for a key": lambda request: str("a" in ISession(request)),
    "list the keys": lambda request: str(len(list(ISession(request)))),
    "assign without save": lambda request: ISession(request).update(a=1),
    "get by an unknown id": lambda request: str(
        ISession(request).get_by_id("0" * 32)
    ),
}


@pytest.mark.parametrize("id", [None, "0" * 32], ids=["new", "unknown id"])
@pytest.mark.parametrize("view", READERS.values(), ids=READERS)
def test_reading_creates_nothing(server_store, visitor, view, id):
    headers = header_for(id, "a secret of the tests") if id else {}
    before = leftovers(server_store)
    response = visitor.visit(view, headers=headers)
    after = leftovers(server_store)

    assert session_cookie(response) is None
    assert after == before


@pytest.mark.parametrize("id", [None, "0" * 32], ids=["new", "unknown id"])
@pytest.mark.parametrize("view", [read_count, read_id])
def test_reading_creates_nothing_with_auto(
    server_store, config, visitor, view, id
):
    config["auto"] = True
    test_reading_creates_nothing(server_store, visitor, view, id)


@pytest.mark.parametrize("id", [None, "0" * 32], ids=["new", "unknown id"])
@pytest.mark.parametrize("method", ["delete", "invalidate", "regenerate_id"])
def test_ending_a_session_that_is_not_stored_creates_nothing(
    server_store, visitor, method, id
):
    headers = header_for(id, "a secret of the tests") if id else {}
    before = leftovers(server_store)
    visitor.visit(call(method), headers=headers)

    assert leftovers(server_store) == before


def test_reading_an_expired_session_creates_nothing(
    server_store, config, visitor, clock
):
    config["timeout"] = 60
    visitor.visit(count)
    ids, paths = leftovers(server_store)
    clock(61)
    visitor.visit(read_count)
    ids_after, paths_after = leftovers(server_store)

    assert ids_after <= ids
    assert set(paths_after) <= set(paths)


# What gives a session away


SECRET_KEY = "confidential-key"
SECRET_VALUE = "confidential" * 3
PASSWORD = "the-password-of-the-url"

# The value as it is in the stored text, wherever in it the value begins.
ENCODED = [
    b64encode((SECRET_VALUE[start:] + SECRET_VALUE)[:12].encode()).decode()
    for start in range(3)
]

save_secrets = setting(**{SECRET_KEY: SECRET_VALUE, "basket": []})


def fail(request):
    """Fail with a message that has nothing of the session in it."""
    ISession(request).get(SECRET_KEY)
    raise ValueError("The page failed.")


def dump(request):
    session = ISession(request)
    session.get(SECRET_KEY)
    return f"{session!r} {session}"


def not_serializable(request):
    session = ISession(request)
    session[SECRET_KEY] = lambda: SECRET_VALUE
    session.save()


@pytest.fixture
def full_log(caplog):
    """The log, when every logger writes all that it could."""
    for name in ["root", *logging.root.manager.loggerDict]:
        caplog.set_level(logging.DEBUG, name)
    return caplog


def answer_of(visitor, view, **options):
    """Return all that a visitor, or the server's log, sees of an answer."""
    try:
        response = visitor.visit(view, status="*", **options)
    except Exception as error:
        return "".join(traceback.format_exception(error))
    return response.text


def live_through_everything(visitor, store):
    """Make requests of every kind; return their answers and the ids seen."""
    records = records_of(store)
    ids = []
    answers = []

    def visit(view, **options):
        answers.append(answer_of(visitor, view, **options))
        if COOKIE in visitor.cookies:
            ids.append(session_id(visitor))

    def remove_and_save(request):
        save_secrets(request)
        records.remove(ids[-1])

    visit(save_secrets)
    for view in (dump, put_into_basket, read_count, fail, not_serializable):
        visit(view)
    visit(call("regenerate_id"))
    visit(call("invalidate"))
    visit(save_secrets)
    visit(remove_and_save)
    visit(save_secrets)
    visit(call("delete"))
    visit(save_secrets)
    records.write(ids[-1], f"broken {SECRET_VALUE}".encode())
    visit(save_secrets)
    visit(read_count, headers=header_for("0" * 32 + ids[-1], None))
    visit(read_count, headers=header_for(ids[-1], "another secret"))
    visit(dump)
    return answers, set(ids)


def disclosed(texts, ids):
    """Return which of the things to be hidden a list of texts shows."""
    hidden = {*ids, SECRET_KEY, SECRET_VALUE[:24], PASSWORD, *ENCODED}
    return {word for word in hidden for text in texts if word in text}


def texts_of(log):
    """Return all that any handler could make of the log's records."""
    formatter = logging.Formatter()
    return [
        text
        for record in log.records
        if not record.name.startswith("pymongo")
        for text in (
            formatter.format(record),
            str(record.msg),
            repr(record.args),
            str(vars(record)),
        )
    ]


def test_no_log_line_shows_anything_of_a_session(
    server_store, visitor, full_log
):
    _, ids = live_through_everything(visitor, server_store)

    assert len(ids) > 4
    assert disclosed(texts_of(full_log), ids) == set()


def test_no_page_shows_anything_of_a_session(server_store, visitor):
    answers, ids = live_through_everything(visitor, server_store)

    assert disclosed(answers, ids) == set()


def test_neither_log_nor_page_shows_the_keys(
    server_store, config, visitor, full_log
):
    keys = {"encrypt_key": "key-of-encryption", "validate_key": "key-of-mac"}
    config.update(keys)
    answers, _ = live_through_everything(visitor, server_store)
    texts = [*answers, *texts_of(full_log)]
    secrets = [*keys.values(), config["secret"]]

    assert [key for key in secrets for text in texts if key in text] == []


@pytest.mark.parametrize(
    ("type", "url"),
    [
        ("ext:redis", "redis://user:{password}@127.0.0.1:{port}/0"),
        (
            "ext:database",
            "postgresql+psycopg://u:{password}@127.0.0.1:{port}/d",
        ),
        ("ext:database", "mysql+pymysql://u:{password}@127.0.0.1:{port}/d"),
    ],
    ids=["redis", "postgresql", "mariadb"],
)
def test_neither_log_nor_page_shows_the_password_of_a_store(
    config, visitor, full_log, type, url
):
    config.update(
        type=type, url=url.format(password=PASSWORD, port=free_port())
    )
    answers = [answer_of(visitor, view) for view in (count, dump)]
    headers = header_for("0" * 32, config["secret"])
    answers.append(answer_of(visitor, read_count, headers=headers))

    assert disclosed([*answers, *texts_of(full_log)], {"0" * 32}) == set()


def test_neither_log_nor_page_shows_anything_of_a_session_in_a_cookie(
    config, visitor, full_log
):
    config.update(type="cookie", validate_key="a key for the tests")
    views = [save_secrets, put_into_basket, dump, fail, not_serializable, dump]
    answers = [answer_of(visitor, view) for view in views]
    payload = visitor.cookies[COOKIE]
    config["validate_key"] = "another key of the tests"
    answers.append(answer_of(visitor, read_count))
    texts = [*answers, *texts_of(full_log)]

    assert disclosed(texts, {payload, payload[-40:]}) == set()


@pytest.mark.parametrize("state", ["unused", "read", "saved", "deleted"])
def test_the_representation_of_a_session_shows_nothing_of_it(
    either_store, visitor, state
):
    def show(request):
        session = ISession(request)
        if state != "unused":
            assert session[SECRET_KEY]
        if state == "saved":
            session.save()
        if state == "deleted":
            session.delete()
        loaded = getattr(session, "_session", None)
        other = session.get_by_id(session.id) if state == "read" else None
        return f"{session!r} {session} {loaded!r} {loaded} {other!r} {other}"

    visitor.visit(save_secrets)
    id = visitor.visit(read_id).text

    assert disclosed([visitor.visit(show).text], {id}) == set()
