"""Where users of a Plone site are signed in, as they see it and end it."""

import json
import re
import unittest

import transaction
from zope.component import adapter
from zope.component import getGlobalSiteManager
from zope.component import getUtility
from ZPublisher.interfaces import IPubAfterTraversal


try:
    from plone.app.testing import TEST_USER_NAME
    from plone.app.testing import applyProfile
    from plone.registry.interfaces import IRegistry

    from collective.beaker.tests.helpers.plone import LoginTestCase
    from collective.beaker.tests.helpers.plone import keep_in_files
    from collective.beaker.tests.helpers.plone import keep_in_redis
except ModuleNotFoundError as error:
    raise unittest.SkipTest(f"Plone is not installed: {error}") from error

from collective.beaker.interfaces import ISession
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.tests.helpers.servers import free_port


__test__ = False  # pytest knows no layers

ID = "[0-9a-f]{32}"

PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605."
    "1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1"
)


class MySessionsTestCase(LoginTestCase):
    """Two browsers of one user, each with a session."""

    keep_sessions = keep_in_files

    def setUp(self):
        super().setUp()
        self.keep_sessions()
        self.prepare()
        self.phone = self.log_in_with(PHONE)
        self.laptop = self.log_in_with(
            "Mozilla/5.0 (X11; Linux) Firefox/145.0"
        )

    def prepare(self):
        """Change the site before anybody logs in."""

    def log_in_with(self, user_agent):
        """Return a new browser in which the user has a session."""
        self.new_browser().addHeader("User-Agent", user_agent)
        self.log_in()
        self.visit("@@visits")
        return self.browser

    def log_in_as_somebody_else(self):
        self.new_browser()
        self.log_in_as_owner()
        self.visit("@@visits")

    def ids(self):
        """Return the ids of the two sessions, which nobody may see."""
        ids = set()
        for browser in (self.phone, self.laptop):
            self.browser = browser
            ids.add(self.cookie[-32:])
        return ids

    def visits(self, browser):
        """Return what a browser's session counts, without a visit."""
        self.browser = browser
        return self.visit("@@visits_of").rpartition(" ")[2]

    def press(self, label):
        self.browser.getControl(label, index=0).click()
        return self.browser.contents

    def call(self, method, path="@my-sessions"):
        """Have the browser send a request to the service."""
        answer = getattr(self.browser.testapp, method)(
            f"{self.url}/{path}",
            headers={"Accept": "application/json"},
            expect_errors=True,
        )
        return answer.status_int, json.loads(answer.text or "null")

    def token_of_phone(self):
        _, answer = self.call("get")
        (token,) = [
            each["token"] for each in answer["items"] if not each["current"]
        ]
        return token


class TestPage(MySessionsTestCase):
    def test_it_shows_the_sessions_of_the_user_and_which_is_this_one(self):
        page = self.visit("@@my-sessions")
        self.assertIn("no-store", self.browser.headers["Cache-Control"])
        self.assertIn("Safari on iPhone", page)
        self.assertIn("Firefox on Linux", page)
        self.assertEqual(page.count("<time"), 4)
        self.assertEqual(page.count('name="end"'), 1)
        self.assertEqual(page.count("This device"), 1)
        self.assertFalse(self.ids().intersection(re.findall(ID, page)))

    def test_no_element_has_the_id_of_another(self):
        self.assertEqual(self.visit("@@my-sessions").count('id="content"'), 1)

    def test_a_button_signs_out_one_device(self):
        self.visit("@@my-sessions")
        self.assertIn("Signed out there", self.press("Sign out"))
        self.assertNotIn("Safari on iPhone", self.browser.contents)
        self.assertEqual(self.visits(self.phone), "None")
        self.assertEqual(self.visits(self.laptop), "1")

    def test_a_button_signs_out_all_other_devices(self):
        self.log_in_with("curl/8.14.1")
        self.browser = self.laptop
        self.visit("@@my-sessions")
        self.assertIn("2 sessions", self.press("Sign out everywhere else"))
        self.assertEqual(self.visits(self.phone), "None")
        self.assertEqual(self.visits(self.laptop), "1")

    def test_another_user_cannot_sign_out_anybody(self):
        token = self.token_of_phone()
        self.log_in_as_somebody_else()
        self.visit("@@my-sessions")
        self.assertNotIn(token, self.browser.contents)
        form = self.browser.getForm(id="my-sessions")
        authenticator = form.getControl(name="_authenticator").value
        self.browser.post(
            f"{self.url}/@@my-sessions",
            f"end={token}&_authenticator={authenticator}",
        )
        self.assertIn("had already ended", self.browser.contents)
        self.assertEqual(self.call("delete", f"@my-sessions/{token}")[0], 404)
        self.assertEqual(self.call("delete"), (204, None))
        self.assertEqual(self.visits(self.phone), "1")

    def test_a_form_of_another_site_does_nothing(self):
        self.browser.raiseHttpErrors = False
        self.browser.post(f"{self.url}/@@my-sessions", "end_others=1")
        self.assertTrue(self.browser.headers["status"].startswith("403"))
        self.assertEqual(self.visits(self.phone), "1")

    def test_it_says_where_sessions_cannot_be_listed(self):
        getUtility(ISessionConfig).update(
            type="cookie", validate_key="a key of the tests, and long"
        )
        page = self.visit("@@my-sessions")
        self.assertIn("where they cannot be listed", page)
        self.assertEqual(self.call("get")[0], 501)

    def test_during_an_outage_the_answer_is_503(self):
        getUtility(ISessionConfig).update(
            type="ext:redis", url=f"redis://127.0.0.1:{free_port()}"
        )
        self.browser.raiseHttpErrors = False
        with self.assertLogs("collective.beaker", "ERROR") as logs:
            self.browser.open(f"{self.url}/@@my-sessions")
            self.assertIn("503", self.browser.headers["status"])
            number = len(logs.output)
            self.assertTrue(number)
            self.assertEqual(self.call("get")[0], 503)
            self.assertGreater(len(logs.output), number)


class TestAnonymous(LoginTestCase):
    call = MySessionsTestCase.call

    def test_nobody_has_sessions_without_a_login(self):
        self.visit("@@my-sessions")
        self.assertIn("/login", self.browser.url)
        self.assertEqual(self.call("get")[0], 401)
        self.assertEqual(self.call("delete")[0], 401)


class TestInGerman(LoginTestCase):
    """What Plone shows to browsers that prefer German."""

    def setUp(self):
        super().setUp()
        applyProfile(self.portal, "collective.beaker:default")
        registry = getUtility(IRegistry)
        registry["plone.available_languages"] = ["en", "de"]
        registry["plone.use_request_negotiation"] = True
        transaction.commit()
        self.log_in_as_owner()
        self.browser.addHeader("Accept-Language", "de")

    def test_the_page_of_the_user(self):
        page = self.visit("@@my-sessions")
        self.assertIn("<h1>Wo Sie angemeldet sind</h1>", page)

    def test_site_setup(self):
        page = self.visit("@@overview-controlpanel")
        self.assertIn("Sitzungen und Caches", page)

    def test_control_panels_of_volto(self):
        self.browser.addHeader("Accept", "application/json")
        panels = json.loads(self.visit("@controlpanels"))
        titles = [panel["title"] for panel in panels]
        self.assertIn("Sitzungen und Caches", titles)


class TestTickets(MySessionsTestCase):
    def prepare(self):
        self.portal.acl_users.session.per_user_keyring = True
        transaction.commit()

    def test_with_a_keyring_for_each_user_logins_end_as_well(self):
        self.visit("@@my-sessions")
        self.press("Sign out everywhere else")
        self.assertIn(TEST_USER_NAME, self.visit("@@visits_of"))
        self.browser = self.phone
        self.assertIn("Anonymous User", self.visit("@@visits_of"))


class TestService(MySessionsTestCase):
    def test_it_lists_the_sessions_of_the_user(self):
        status, answer = self.call("get")
        self.assertEqual(status, 200)
        self.assertRegex(answer["@id"], "/plone/@my-sessions$")
        this, other = answer["items"]
        self.assertEqual(this["client"], "Firefox on Linux")
        self.assertTrue(this["current"])
        self.assertEqual(other["client"], "Safari on iPhone")
        self.assertFalse(other["current"])
        self.assertEqual(other["@id"], f"{answer['@id']}/{other['token']}")
        self.assertRegex(this["created"], r"^\d{4}-\d\d-\d\dT.*\+00:00$")
        found = re.findall(ID, json.dumps(answer))
        self.assertFalse(self.ids().intersection(found))

    def test_it_ends_one(self):
        path = f"@my-sessions/{self.token_of_phone()}"
        self.assertEqual(self.call("delete", path), (204, None))
        self.assertEqual(self.call("delete", path)[0], 404)
        self.assertEqual(self.visits(self.phone), "None")
        self.assertEqual(self.visits(self.laptop), "1")

    def test_it_ends_all_others(self):
        self.assertEqual(self.call("delete"), (204, None))
        self.assertEqual(self.visits(self.phone), "None")
        self.assertEqual(self.visits(self.laptop), "1")


@adapter(IPubAfterTraversal)
def give_new_id(event):
    """Do what a plug-in may do to the session of each request."""
    session = ISession(event.request)
    session.regenerate_id()
    session.save()


class TestNewId(MySessionsTestCase):
    def test_a_session_that_is_getting_a_new_id_is_this_one(self):
        site_manager = getGlobalSiteManager()
        site_manager.registerHandler(give_new_id)
        self.addCleanup(site_manager.unregisterHandler, give_new_id)

        current = [item["current"] for item in self.call("get")[1]["items"]]
        self.assertEqual(sorted(current), [False, True])
        self.assertEqual(self.call("delete"), (204, None))
        self.assertEqual(self.visits(self.laptop), "1")


class TestOnRedis(MySessionsTestCase):
    keep_sessions = keep_in_redis

    test_the_page = TestPage.test_a_button_signs_out_all_other_devices
    test_the_service = TestService.test_it_ends_one
