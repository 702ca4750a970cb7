"""`python -m tiercast_local up|token|watch|check-dashboard`; the Makefile calls it."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from tiercast_local import dev_env
from tiercast_local.errors import LocalError
from tiercast_local.users import TIER_NAMES, make_token, set_tier


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "watch" and not (options.tier or options.sub):
        parser.error("say whose stream: --tier or --sub")
    try:
        _run(options)
    except LocalError as error:
        print(f"tiercast: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    if options.command == "up":
        from tiercast_local.up import up  # noqa: PLC0415 -- a token should not wait for what only `up` needs

        up()
    elif options.command == "check-dashboard":
        from tiercast_local.dashboard import check_dashboard  # noqa: PLC0415 -- as above

        check_dashboard()
    elif options.command == "token":
        values = _values()
        set_tier(values, options.sub, options.tier, "make token")
        print(make_token(values, options.sub))
    elif options.command == "watch":
        from tiercast_local.watch import watch  # noqa: PLC0415 -- as above

        values = _values()
        user = options.sub or options.tier
        if options.tier:
            set_tier(values, user, options.tier, "make watch")
        watch(values, lambda: make_token(values, user))


def _values() -> Mapping[str, str]:
    return dev_env.load(dev_env.data_directory()) | _overrides()


def _overrides() -> dict[str, str]:
    return {name: os.environ[name] for name in dev_env.KEPT if os.environ.get(name)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tiercast_local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything on this machine, until Ctrl-C")
    commands.add_parser("check-dashboard", help="check the dashboard's types and style")
    token = commands.add_parser("token", help="set a user's tier and print a token")
    token.add_argument("--sub", required=True, help="the user")
    token.add_argument("--tier", required=True, choices=TIER_NAMES)
    watch = commands.add_parser("watch", help="show a user's live stream")
    watch.add_argument("--tier", choices=TIER_NAMES, help="set the user's tier first")
    watch.add_argument("--sub", help="the user (default: the one named like the tier)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
