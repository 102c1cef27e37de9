"""What has the name of a record, and is none."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy

from collective.beaker.interfaces import ISession
from collective.beaker.maintenance.revoke import revoke
from collective.beaker.maintenance.revoke import revoke_all
from collective.beaker.maintenance.survey import survey
from collective.beaker.maintenance.sweep import sweep
from collective.beaker.maintenance.users import end_sessions_of_user
from collective.beaker.maintenance.users import sessions_of_user
from collective.beaker.tests.helpers.records import records_of
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.stored_sessions import last
from collective.beaker.tests.helpers.stored_sessions import options_of
from collective.beaker.tests.helpers.stores import OPTIONS
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.visitors import session_id


ANNA = "/acl_users\0anna"


def plant_folder(records, id):
    os.makedirs(records.path(id) / "folder")


def plant_pipe(records, id):
    os.mkfifo(records.path(id))


def plant_link(records, id):
    records.path(id).symlink_to("/nowhere")


def plant_loop(records, id):
    records.path(id).symlink_to(records.path(id))


def plant_large_file(records, id):
    """Plant a file that takes no room on the disk, and all memory."""
    records.path(id).touch()
    os.truncate(records.path(id), 8 * 1024**4)


def plant_large_file_of_dbm(records, id):
    for end in ("", ".dat", ".dir"):
        with open(f"{records.path(id)}{end}", "w") as file:
            file.truncate(8 * 1024**4)


def plant_pipe_of_dbm(records, id):
    os.mkfifo(f"{records.path(id)}.dat")


def plant_rubbish_of_dbm(records, id):
    for end in ("", ".dat", ".dir"):
        with open(f"{records.path(id)}{end}", "w") as file:
            file.write("rubbish")


def plant_half_of_dbm(records, id):
    """Leave what a process leaves that is killed while it writes."""
    with open(f"{records.path(id)}.dat", "w") as file:
        file.write("rubbish")


def plant_list(records, id):
    records.client.rpush(f"beaker_cache:{id}:session", "one")


def plant_text(records, id):
    values = {"namespace": id, "accessed": "", "created": "", "data": "text"}
    table = sqlalchemy.table(
        records.table.name, *map(sqlalchemy.column, values)
    )
    with records.engine.begin() as connection:
        connection.execute(table.insert().values(values))


PLANTS = {
    plant_folder: "file",
    plant_pipe: "file",
    plant_link: "file",
    plant_loop: "file",
    plant_large_file: "file",
    plant_large_file_of_dbm: "dbm",
    plant_pipe_of_dbm: "dbm",
    plant_rubbish_of_dbm: "dbm",
    plant_half_of_dbm: "dbm",
    plant_list: "redis",
    plant_text: "sqlite",
}


@pytest.fixture(params=PLANTS, ids=lambda plant: plant.__name__)
def planted(request, config, tmp_path, visitor, other_visitor):
    """Sessions of two visitors, in the place of one of which is rubbish."""
    options = OPTIONS[PLANTS[request.param]](request, tmp_path)
    config.update(options)
    visitor.visit(count)
    other_visitor.visit(count)
    store = SimpleNamespace(folder=tmp_path, **options)
    id = session_id(visitor)
    records_of(store).remove(id)
    request.param(records_of(store), id)
    sessions = Sessions({**options_of(store), "timeout": 3600})
    return SimpleNamespace(id=id, sessions=sessions, options=sessions.options)


def test_its_visitor_gets_a_fresh_session(planted, visitor, other_visitor):
    assert visitor.visit(count).text == "1"
    assert visitor.visit(count).text == "2"
    assert other_visitor.visit(count).text == "2"


def test_its_visitor_can_log_out(planted, visitor):
    visitor.visit(lambda request: ISession(request).delete())

    assert visitor.visit(count).text == "1"


def test_it_is_counted_as_unreadable_and_named(planted):
    found = last(survey(planted.options))

    assert (found.sessions, found.unreadable) == (2, 1)
    [problem] = found.problems
    assert problem.startswith(f"{planted.id[:8]}... (")
    assert planted.id not in problem


def test_a_sweep_keeps_it_and_goes_on(planted):
    planted.sessions.make(idle=7200)
    swept = last(sweep(planted.options))

    assert (swept.expired, swept.unreadable) == (1, 1)
    assert len(swept.problems) == 1


def test_it_is_revoked_like_a_session(planted):
    assert revoke(planted.options, planted.id)
    assert planted.id not in planted.sessions.ids()


def test_it_is_revoked_with_all_others(planted):
    assert last(revoke_all(planted.options)) == 2
    assert planted.sessions.ids() == set()


# In the index of users


def plant_file_of_index(store, mark):
    folder = Path(store._index_folder(mark))
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.touch()


def plant_text_of_index(store, mark):
    store._client.set(f"beaker_user:{mark}", "rubbish")


@pytest.mark.parametrize(
    ("plant", "kind"),
    [(plant_file_of_index, "file"), (plant_text_of_index, "redis")],
)
def test_what_is_no_index_hides_no_session_and_stops_no_sweep(
    request, tmp_path, plant, kind
):
    options = SimpleNamespace(
        folder=tmp_path, **OPTIONS[kind](request, tmp_path)
    )
    sessions = Sessions(options_of(options)).alone()
    mark = sessions.session.policy.owners.mark(ANNA)
    id = sessions.make(_user=mark)
    plant(sessions.store, mark)

    found = sessions_of_user(sessions.options, ANNA)
    assert [each.id for each in found] == [id]
    last(sweep(sessions.options))
    assert last(end_sessions_of_user(sessions.options, ANNA)) == 1
