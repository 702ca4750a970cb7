"""The safeguards of billing."""

from tests.mutants.mutant import TIERS, Mutant

WEBHOOK = "tests/integration/tiers/test_stripe_webhook.py::"
UNIT = "tests/unit/tiers/test_billing.py::"

BILLING = (
    Mutant(
        "billing: anybody may tell what Stripe would",
        TIERS + "stripe_webhook.py",
        "        check_signature(body, request.headers.get(SIGNATURE), secrets)\n",
        "",
        (WEBHOOK + "test_what_stripe_has_not_signed_is_refused",),
    ),
    Mutant(
        "billing: an old request may be sent again",
        TIERS + "stripe_webhook.py",
        "TOLERANCE_SECONDS = 300",
        "TOLERANCE_SECONDS = 3000",
        (WEBHOOK + "test_what_stripe_has_not_signed_is_refused",),
    ),
    Mutant(
        "billing: an event counts as often as it comes",
        TIERS + "billing_writer.py",
        "known = await session.get(BillingEventRow, event.id) is not None",
        "known = False",
        (WEBHOOK + "test_an_event_counts_once",),
    ),
    Mutant(
        "billing: events count in the order in which they come",
        TIERS + "billing.py",
        "in_time = sorted(events, key=lambda event: (_moment(event), event.id))",
        "in_time = list(events)",
        (UNIT + "test_every_order_of_arrival_ends_in_the_same_state",),
    ),
    Mutant(
        "billing: events of one second count in the order of their names",
        TIERS + "billing.py",
        "return max(permutations(at_once), key=links)",
        "return at_once",
        (UNIT + "test_changes_within_one_second_follow_from_what_each_says_to_have_replaced",),
    ),
    Mutant(
        "billing: who paid one of two invoices owes nothing",
        TIERS + "billing.py",
        "event.created if state.status == PAST_DUE else None",
        "None",
        (UNIT + "test_what_has_happened_decides_the_tier",),
    ),
    Mutant(
        "billing: a subscription comes back from its end",
        TIERS + "billing.py",
        "if state.status == CANCELED:",
        "if False:",
        (UNIT + "test_what_has_happened_decides_the_tier",),
    ),
    Mutant(
        "billing: the grace period never ends",
        TIERS + "billing.py",
        "lapsed = self.unpaid_since is not None and now >= self.unpaid_since + grace_seconds",
        "lapsed = False",
        (UNIT + "test_what_has_happened_decides_the_tier",),
    ),
    Mutant(
        "billing: nobody looks for grace periods that have ended",
        TIERS + "billing_writer.py",
        "                await self.sweep()\n",
        "                pass\n",
        (WEBHOOK + "test_a_grace_period_ends_although_nobody_ran_when_it_did",),
    ),
    Mutant(
        "billing: event and change are two transactions",
        TIERS + "billing_writer.py",
        "                await session.flush()\n            users",
        "                await session.commit()\n            users",
        (WEBHOOK + "test_event_and_change_are_kept_both_or_not_at_all",),
    ),
    Mutant(
        "import: lines are imported although others are wrong",
        TIERS + "import_command.py",
        "    if sheet.problems:\n        raise",
        "    if False:\n        raise",
        ("tests/integration/tiers/test_tiers_commands.py::test_of_a_sheet_with_a_wrong_line_nothing_is_imported",),
    ),
)
