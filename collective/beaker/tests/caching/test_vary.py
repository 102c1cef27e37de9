"""What results may depend on besides arguments, in a real Zope."""

import pytest
import transaction
from AccessControl import getSecurityManager
from AccessControl.SecurityManagement import newSecurityManager
from AccessControl.SecurityManagement import noSecurityManager
from AccessControl.users import SimpleUser
from AccessControl.users import UnrestrictedUser
from AccessControl.users import nobody
from AccessControl.users import system
from OFS.Folder import Folder
from OFS.SimpleItem import SimpleItem
from OFS.userfolder import UserFolder
from Products.Five.browser import BrowserView
from zope.component.hooks import setSite
from zope.publisher.browser import TestRequest

from collective.beaker.caching.keys import encode
from collective.beaker.caching.vary import by_context
from collective.beaker.caching.vary import by_language
from collective.beaker.caching.vary import by_roles
from collective.beaker.caching.vary import by_site
from collective.beaker.caching.vary import by_url
from collective.beaker.caching.vary import by_user
from collective.beaker.caching.vary import context_of
from collective.beaker.caching.vary import of_context
from collective.beaker.tests.helpers.zope import Visitor


@pytest.fixture
def seen(application):
    """Return a function that tells what a function returns in a request."""

    def seen(function, path="", *, prepare=None, **options):
        found = []

        def view(request):
            if prepare is not None:
                prepare(request)
            found.append(function(request))

        Visitor(application).visit(view, path, **options)
        encode(found[0])
        return found[0]

    return seen


def published(request):
    """Return the object whose view was called."""
    return request["PARENTS"][0]


class View(BrowserView):
    """A view that is not published."""


def view_of(request):
    return View(published(request), request)


# Sites


def test_each_site_is_told_by_its_database_and_its_path(sites, seen):
    plain, special, root = (
        seen(by_site, path) for path in ("/plain", "/special", "")
    )

    assert plain == ("main", "/plain")
    assert special == ("main", "/special")
    assert root == ("", "")


def test_a_site_that_is_stored_nowhere_is_told_by_its_path(application):
    folder = Folder("site")
    # What hooks need of a site.
    folder.getSiteManager = lambda: None
    setSite(folder)
    try:
        assert by_site() == ("", "site")
    finally:
        setSite(None)


# Contexts


def test_the_context_of_a_view_is_told_by_path_and_address(sites, seen):
    assert seen(lambda request: by_context(view_of(request)), "/plain") == (
        "/plain",
        "http://localhost:80/plain",
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda context, request: by_context(context),
        lambda context, request: by_context(context, 3),
        lambda context, request: by_context(request, context),
        lambda context, request: by_context(3, context=context),
        lambda context, request: by_context(View(context, request), 3),
        lambda context, request: by_context(view=View(context, request)),
    ],
    ids=[
        "first",
        "with others",
        "second",
        "by name",
        "of a view",
        "of a view by name",
    ],
)
def test_the_context_is_found_among_the_arguments(call, sites, seen):
    path, _ = seen(lambda request: call(published(request), request), "/plain")
    assert path == "/plain"


def test_each_host_has_results_of_its_own(sites, seen):
    def of_view(request):
        return by_context(view_of(request))

    ours = seen(of_view, "/plain", headers={"Host": "example.org"})
    theirs = seen(of_view, "/plain", headers={"Host": "evil.example"})

    assert ours != theirs


def test_what_a_folder_contains_is_not_its_context(application):
    folder, item = Folder("folder"), SimpleItem()
    item.id = "context"
    folder._setObject("context", item)

    assert context_of(folder) is folder


def test_no_query_is_taken_for_a_context_or_a_request(seen, sites):
    """Neither where a function has the request as its first argument."""
    query = {"context.getPhysicalPath:record": "x", "request": "x"}

    def of_request(request):
        return (
            by_context(request, published(request)),
            by_url(request),
            by_language(request),
        )

    assert seen(of_request, "/plain", params=query) == seen(
        of_request, "/plain"
    )


class Story(SimpleItem):
    """Content whose property is computed without its container."""

    def __init__(self, id):
        self.id = id

    path = property(by_context)
    tag = property(of_context)


@pytest.mark.parametrize("name", ["path", "tag"])
def test_a_property_of_content_has_no_place(name, sites, seen):
    """Content of the same id in other folders would share its results."""

    def of_story(request):
        container = published(request)
        container._setObject("story", Story("story"))
        try:
            with pytest.raises(TypeError, match=r"'story'.*where it is.*meth"):
                getattr(container.story, name)
            return by_context(container.story)[0]
        finally:
            transaction.abort()

    assert seen(of_story, "/plain") == "/plain/story"


def test_new_content_is_not_taken_for_the_root(seen):
    def of_root(request):
        with pytest.raises(TypeError, match="where it is"):
            by_context(Story(""))
        return by_context(published(request))[0]

    assert seen(of_root) == ""


def test_without_a_context_the_remedy_is_named():
    with pytest.raises(TypeError, match=r"no context.*function"):
        by_context("/news", 3)


def test_the_tag_of_a_context_is_the_same_from_each_address(sites, seen):
    tags = {
        seen(lambda request: of_context(view_of(request)), "/plain"),
        seen(lambda request: of_context(published(request)), "/plain"),
        seen(
            lambda request: of_context(published(request)),
            "/plain",
            headers={"Host": "example.org"},
        ),
    }

    assert tags == {"main:/plain"}


def test_the_tag_of_a_new_object_is_that_which_it_will_have(sites, seen):
    def of_new_object(request):
        container = published(request)
        container._setObject("new", Folder("new"))
        try:
            return of_context(container.new)
        finally:
            transaction.abort()

    assert seen(of_new_object, "/plain") == "main:/plain/new"


# Addresses


def test_the_address_is_that_of_the_browser(sites, seen):
    path = "/VirtualHostBase/https/example.org:443/plain/VirtualHostRoot/_vh_a"
    actual, _ = seen(lambda request: by_url(), path)

    assert actual == "https://example.org/a/@@beaker-test-view"


def test_two_hosts_have_two_addresses(seen):
    assert seen(lambda request: by_url()) != seen(
        lambda request: by_url(), headers={"Host": "example.org"}
    )


def test_no_query_makes_an_address_another_one(seen):
    query = {"URL": "x", "ACTUAL_URL": "y"}

    assert seen(lambda request: by_url(), params=query) == seen(
        lambda request: by_url()
    )


def test_outside_of_a_request_there_is_no_address():
    assert by_url() == ("", "")


# Users


@pytest.fixture
def users():
    """A function that returns a user of one of two user folders."""
    root, folder = Folder("root"), Folder("folder")
    root._setObject("folder", folder)
    for where in (root, root.folder):
        where._setObject("acl_users", UserFolder())
        for name in ("alice", "bob"):
            where.acl_users._doAddUser(name, "secret", ["Member"], [])
    yield (
        lambda path, name: (
            root.unrestrictedTraverse(f"{path}acl_users")
            .getUser(name)
            .__of__(root.unrestrictedTraverse(f"{path}acl_users"))
        )
    )
    noSecurityManager()


def log_in(user):
    newSecurityManager(None, user)


def test_a_user_is_told_by_user_folder_and_id(users):
    found = []
    for path in ("", "folder/"):
        for name in ("alice", "bob"):
            log_in(users(path, name))
            found.append(by_user())

    assert found[0][:3] == ("root/acl_users", "alice", "alice")
    assert found[2][:3] == ("root/folder/acl_users", "alice", "alice")
    assert len(set(found)) == 4


def test_visitors_without_a_login_are_one_user_and_the_system_is_another():
    log_in(nobody)
    anonymous = by_user()
    log_in(system)

    assert by_user() != anonymous
    noSecurityManager()
    assert by_user() == anonymous


def test_roles_are_those_that_a_user_has_in_the_context(users):
    user = users("", "alice")
    context = Folder("news")
    context.manage_setLocalRoles("alice", ["Editor"])
    log_in(user)

    assert by_roles() == ("Authenticated", "Member")
    assert by_roles(context) == ("Authenticated", "Editor", "Member")
    assert by_roles(View(context, None)) == by_roles(context)


def test_users_with_the_same_roles_share(users):
    found = set()
    for name in ("alice", "bob"):
        log_in(users("", name))
        found.add(by_roles())

    assert len(found) == 1


def test_a_user_has_other_results_with_other_roles(users):
    """Also if code makes a user of the same name, with more roles."""
    user = users("", "alice")
    log_in(user)
    before = by_user()
    user.roles = ["Member", "Editor"]

    assert by_user() != before


class UserInGroups(SimpleUser):
    """A user of a user folder that has groups, as PluggableAuthService."""

    groups = ()

    def getGroups(self):
        return self.groups


def test_a_user_has_other_results_in_other_groups(users):
    """These may have roles in some folder, and nowhere else."""
    user = UserInGroups("carol", "", ["Member"], [])
    log_in(user.__of__(users("", "alice").__parent__))
    found = [by_user()]
    for groups in (["staff"], ["Member"], ["b", "a"], ["a", "b"]):
        user.groups = groups
        found.append(by_user())

    assert len(set(found)) == 4
    assert found[-1] == found[-2]


@pytest.mark.parametrize("vary", [by_user, by_roles])
def test_roles_of_code_count_in_place_of_those_of_the_user(vary):
    """What code with proxy roles may see is not for anybody else."""
    log_in(nobody)
    as_nobody = vary(Folder("news"))
    manager = getSecurityManager()
    code = SimpleItem()
    code._proxy_roles = ["Manager"]
    manager.addContext(code)
    try:
        as_manager = vary(Folder("news"))
    finally:
        manager.removeContext(code)

    assert "Manager" in as_manager
    assert vary(Folder("news")) == as_nobody != as_manager


def test_roles_of_code_do_not_hide_those_of_the_user(users):
    """Code may ask the user for them, as plone.api does."""
    keys = []
    for user in (nobody, users("", "alice")):
        log_in(user)
        manager = getSecurityManager()
        code = SimpleItem()
        code._proxy_roles = ["Manager"]
        manager.addContext(code)
        try:
            keys.append(by_roles(Folder("news")))
        finally:
            manager.removeContext(code)

    assert len(set(keys)) == 2


def test_code_without_roles_of_its_own_has_those_of_the_user(users):
    log_in(users("", "alice"))
    manager = getSecurityManager()
    code = SimpleItem()
    manager.addContext(code)
    try:
        assert by_roles() == ("Authenticated", "Member")
    finally:
        manager.removeContext(code)


# Languages


def test_the_first_language_is_the_one_that_plone_has_chosen(seen):
    """The others are those of texts that are not translated to it."""

    def choose(request):
        request["LANGUAGE"] = "pt"

    found = seen(
        lambda request: by_language(),
        prepare=choose,
        headers={"Accept-Language": "de,pt;q=0.5"},
    )
    assert found == ("pt", "de")


def test_a_query_does_not_choose_the_language(seen):
    german = {"Accept-Language": "de"}

    assert seen(
        lambda request: by_language(),
        params={"LANGUAGE": "pt"},
        headers=german,
    ) == seen(lambda request: by_language(), headers=german)


def test_else_the_languages_are_those_that_the_browser_prefers(seen):
    headers = {"Accept-Language": "de-AT,de;q=0.8,en;q=0.5"}
    found = seen(lambda request: by_language(), headers=headers)

    assert found == ("de-at", "de", "en")


def test_or_the_language_is_negotiated_among_those_that_are_allowed(
    seen, monkeypatch
):
    monkeypatch.setattr("zope.i18n.ALLOWED_LANGUAGES", {"de", "pt"})
    headers = {"Accept-Language": "en,de;q=0.8,pt;q=0.5"}

    found = seen(lambda request: by_language(), headers=headers)
    assert found == ("de",)


def test_the_request_of_a_view_goes_before_that_of_the_thread(seen):
    def of_view(request):
        theirs = TestRequest(HTTP_ACCEPT_LANGUAGE="pt")
        return by_language(View(Folder("news"), theirs))

    headers = {"Accept-Language": "de"}
    assert seen(of_view, headers=headers) == ("pt",)


@pytest.mark.parametrize("vary", [by_language, by_url])
def test_content_with_a_field_request_is_no_view(vary, seen):
    """It may be a request for a service, in words."""

    def of_content(request):
        content = Story("story")
        content.request = "Mend the heating."
        return vary(content), vary()

    of_story, of_thread = seen(of_content, headers={"Accept-Language": "de"})
    assert of_story == of_thread


def test_outside_of_a_request_there_is_no_language():
    assert by_language() == ()


def test_a_user_without_restrictions_shares_with_nobody():
    seen = []
    for kind in (SimpleUser, UnrestrictedUser):
        newSecurityManager(None, kind("bob", "", ["Editor"], ""))
        seen.append(by_roles())
    noSecurityManager()
    assert seen[0] != seen[1]
