"""A person chooses a language: pages that are open change, and what is pushed to them after that too."""

from __future__ import annotations

from playwright.sync_api import expect

from apps.core.clock import now
from apps.sectors.services.sealing.steps import sector_stop
from apps.users.models import User
from tests import demo_data, factories
from tests.browser.conftest import Visit
from tests.browser.live import elsewhere


def test_open_page_turns_chinese_and_is_updated_in_chinese(visit: Visit, alice: User) -> None:
    pool = demo_data.busy_pool()
    with factories.node_served():
        page = visit(alice).go(f"/sectors/{pool.sealing.uuid}/")
        account = page.another().go("/account/")
        account.see("select[name=language]").select_option("zh-hans")
        account.page.locator("form[action='/account/language/'] button").click()
        expect(account.see("h1")).to_have_text("账户")

        expect(page.see("html")).to_have_attribute("lang", "zh-hans")
        expect(page.see("#f-live")).to_have_text("实时")
        page.wait_live()
        elsewhere(lambda: sector_stop(pool.sealing, actor="a test", now=now()))

        expect(page.see("#f-verdict, .verdict").first).to_contain_text("已暂停")
