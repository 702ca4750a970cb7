"""The safeguards of the security table (docs/security.md), in its order."""

from tests.mutants.mutant import GATEWAY, INGEST, SHARED, TIERS, UNIT, Mutant

EDGE = "tests/integration/gateway/"
PRODUCER_TESTS = "tests/integration/ingest/test_producers.py::"
SUBMISSION_TESTS = "tests/unit/ingest/test_submission.py::"
PERMISSION_TESTS = "tests/integration/messaging/test_permissions.py::"

ORIGINS = "if not self._allowed_origins.issuperset(origins):"

CROSS_SITE = (
    Mutant(
        "origin check: capitals are as good",
        GATEWAY + "handshake.py",
        ORIGINS,
        "if not self._allowed_origins.issuperset(origin.lower() for origin in origins):",
        (EDGE + "test_upgrade.py::test_every_origin_but_the_exact_one_is_403",),
    ),
    Mutant(
        "origin check: a beginning is enough",
        GATEWAY + "handshake.py",
        ORIGINS,
        "if not all(origin.startswith(tuple(self._allowed_origins)) for origin in origins):",
        (EDGE + "test_upgrade.py::test_every_origin_but_the_exact_one_is_403",),
    ),
    Mutant(
        "origin check: a page that is from nowhere (null) may open a socket",
        GATEWAY + "handshake.py",
        ORIGINS,
        'if not self._allowed_origins.issuperset({*origins} - {"null"}):',
        (EDGE + "test_upgrade.py::test_every_origin_but_the_exact_one_is_403",),
    ),
    Mutant(
        "origin check: of two origins the first counts",
        GATEWAY + "handshake.py",
        ORIGINS,
        "if not self._allowed_origins.issuperset(origins[:1]):",
        (EDGE + "test_upgrade.py::test_two_origins_are_403",),
    ),
    Mutant(
        "cookie: it opens a socket",
        GATEWAY + "handshake.py",
        'return (query.get("token") or [""])[-1] or None',
        'return (query.get("token") or [headers.get("cookie", "").rpartition("=")[2]])[-1] or None',
        (EDGE + "test_upgrade.py::test_a_cookie_authenticates_no_socket",),
    ),
    Mutant(
        "cookie: pages of any origin may use it",
        GATEWAY + "sites.py",
        "if not allowed_origins.issuperset(origins):",
        "if False:",
        (UNIT + "test_sites.py",),
    ),
    Mutant(
        "cookie: a page of another site that names no origin may use it",
        GATEWAY + "sites.py",
        'if not origins and headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:',
        "if False:",
        (UNIT + "test_sites.py",),
    ),
    Mutant(
        "cookie: polling does not ask where the page is from",
        GATEWAY + "callers.py",
        "        check_site(request.headers, self._allowed_origins)\n",
        "",
        (UNIT + "test_sites.py",),
    ),
    Mutant(
        "cookie: the exchange does not ask where the page is from",
        GATEWAY + "token_api.py",
        "            check_site(request.headers, allowed_origins)\n",
        "",
        (UNIT + "test_sites.py",),
    ),
)

TOKENS_IN_SIGHT = (
    Mutant(
        "logs: addresses, with the tokens in them, are logged",
        SHARED + "serving.py",
        '"access_log": False',
        '"access_log": True',
        (EDGE + "test_logs.py::test_no_token_is_ever_logged_whichever_way_it_came",),
        also=((SHARED + "observability.py", '    "uvicorn.access",\n', ""),),
    ),
    Mutant(
        "logs: picows prints raw requests",
        GATEWAY + "edge.py",
        "_picows_log.setLevel(logging.CRITICAL)",
        "_picows_log.setLevel(1)",
        (EDGE + "test_logs.py::test_no_token_is_ever_logged_whichever_way_it_came",),
    ),
    Mutant(
        "errors: what went wrong here is answered, token and all",
        GATEWAY + "handshake.py",
        'return self._refuse("error", HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")',
        "raise",
        (EDGE + "test_upgrade.py::test_a_fault_of_ours_answers_500_without_what_was_sent",),
    ),
    Mutant(
        "errors: a refusal repeats the token",
        GATEWAY + "signatures.py",
        '        raise InvalidToken("the token is too long")',
        '        raise InvalidToken(f"the token is too long: {token}")',
        (UNIT + "test_auth.py::test_a_forged_or_malformed_token_is_refused_without_being_repeated",),
    ),
    Mutant(
        "subprotocol: the one with the token is answered",
        GATEWAY + "handshake.py",
        'answer = {"Sec-WebSocket-Protocol": SUBPROTOCOL} if offered else None',
        'answer = {"Sec-WebSocket-Protocol": protocols.rpartition(",")[2].strip()} if protocols else None',
        (EDGE + "test_upgrade.py::test_the_subprotocol_answered_is_tiercast_v1_or_none",),
    ),
    Mutant(
        "token: the address comes before the header",
        GATEWAY + "handshake.py",
        '    scheme, _, credentials = headers.get("authorization", "").partition(" ")\n',
        '    if query.get("token"):\n        return query["token"][-1]\n'
        '    scheme, _, credentials = headers.get("authorization", "").partition(" ")\n',
        (EDGE + "test_upgrade.py::test_the_safer_way_is_preferred",),
    ),
)

FORGED = (
    Mutant(
        "forged token: nobody looks at the signature",
        GATEWAY + "signatures.py",
        "            return jwt.decode(\n"
        "                token, key, registry=JWSRegistry(algorithms=[algorithm], strict_check_header=False)\n"
        "            ).claims\n",
        '            return orjson.loads(urlsafe_b64decode(token.split(".")[1].encode()))\n',
        (UNIT + "test_auth.py::test_a_forged_or_malformed_token_is_refused_without_being_repeated",),
    ),
    Mutant(
        "forged token: a key is good for every algorithm",
        GATEWAY + "signatures.py",
        'frozenset({"HS256", "RS256", "ES256"})',
        'frozenset({"HS256", "HS512", "RS256", "ES256"})',
        (UNIT + "test_auth.py::test_a_forged_or_malformed_token_is_refused_without_being_repeated",),
        also=((GATEWAY + "signatures.py", "key = self._keys.get(algorithm)", 'key = self._keys.get("HS256")'),),
    ),
    Mutant(
        "forged token: an algorithm that is none is looked up",
        GATEWAY + "signatures.py",
        'if not isinstance(algorithm, str) or algorithm not in ALGORITHMS or "crit" in header:',
        'if "crit" in header:',
        (UNIT + "test_auth.py::test_a_forged_or_malformed_token_is_refused_without_being_repeated",),
    ),
    Mutant(
        "forged token: what is critical and unknown is ignored",
        GATEWAY + "signatures.py",
        ' or "crit" in header:',
        ":",
        (UNIT + "test_auth.py::test_a_forged_or_malformed_token_is_refused_without_being_repeated",),
    ),
    Mutant(
        "forged token: a logout token of the issuer is a bearer token",
        GATEWAY + "signatures.py",
        "kind.lower() not in types or ",
        "",
        (EDGE + "test_key_sets.py::test_forged_tokens_are_not_accepted",),
    ),
    Mutant(
        "forged token: any issuer is believed",
        GATEWAY + "auth.py",
        'if claims.get("iss") != issuer:',
        "if False:",
        (UNIT + "test_auth.py::test_a_token_that_is_signed_but_says_the_wrong_thing_is_refused",),
    ),
    Mutant(
        "forged token: one for another audience is taken",
        GATEWAY + "auth.py",
        "if audience not in (named if isinstance(named, list) else [named]):",
        "if False:",
        (UNIT + "test_auth.py::test_a_token_that_is_signed_but_says_the_wrong_thing_is_refused",),
    ),
    Mutant(
        "forged token: one that is over is taken",
        GATEWAY + "auth.py",
        "if expires_at <= now:",
        "if False:",
        (UNIT + "test_auth.py::test_a_token_that_is_signed_but_says_the_wrong_thing_is_refused",),
    ),
    Mutant(
        "forged token: one without an end is taken",
        GATEWAY + "auth.py",
        'expires_at = point_in_time(claims, "exp", required=True)',
        'expires_at = point_in_time(claims, "exp") or now + 3600',
        (UNIT + "test_auth.py::test_a_token_that_is_signed_but_says_the_wrong_thing_is_refused",),
    ),
    Mutant(
        "forged token: one that is not valid yet is taken",
        GATEWAY + "auth.py",
        'if point_in_time(claims, "nbf") - LEEWAY_SECONDS > now:',
        "if False:",
        (UNIT + "test_auth.py::test_a_token_that_is_signed_but_says_the_wrong_thing_is_refused",),
    ),
    Mutant(
        "forged token: one from the future is taken",
        GATEWAY + "auth.py",
        "if issued_at - LEEWAY_SECONDS > now:",
        "if False:",
        (UNIT + "test_auth.py::test_a_token_that_is_signed_but_says_the_wrong_thing_is_refused",),
    ),
    Mutant(
        "forged token: another user's prolongs a socket",
        GATEWAY + "credentials.py",
        "if not first and identity.user_id != connection.user_id:",
        "if False:",
        (UNIT + "test_sessions.py::test_a_new_token_that_is_no_good_ends_the_connection",),
    ),
    Mutant(
        "forged token: an endless one is read",
        GATEWAY + "signatures.py",
        "if len(token) > MAX_TOKEN_LENGTH:",
        "if False:",
        (UNIT + "test_auth.py::test_a_forged_or_malformed_token_is_refused_without_being_repeated",),
    ),
)

STALE = (
    Mutant(
        "timer: a token that was found good once is good for ever",
        GATEWAY + "remembered_tokens.py",
        "if identity.expires_at <= self._clock():",
        "if False:",
        (UNIT + "test_remembered_tokens.py",),
    ),
    Mutant(
        "revocation: a revoked token polls on the short way",
        GATEWAY + "callers.py",
        "if known is None or known.tokens_valid_after > identity.issued_at:",
        "if known is None:",
        (UNIT + "test_polling.py",),
    ),
    Mutant(
        "timer: a socket outlives its token",
        GATEWAY + "credentials.py",
        "if connection.expires_at <= now:",
        "if False:",
        (UNIT + "test_sessions.py::test_a_socket_does_not_outlive_its_token_and_is_closed_with_4003",),
    ),
    Mutant(
        "timer: a stream outlives its token",
        GATEWAY + "streams.py",
        "changed or caller.expires_at <= now or",
        "changed or",
        (UNIT + "test_streams.py::test_a_stream_outlives_neither_its_token_nor_its_tier",),
    ),
    Mutant(
        "tier: the token's own word for it counts",
        GATEWAY + "auth.py",
        "return Identity(user_id, issued_at, expires_at, scopes)",
        "return Identity(user_id, issued_at, expires_at, scopes | {f\"tier:{claims.get('tier')}\"})",
        (UNIT + "test_api.py::test_a_tier_in_the_token_counts_for_nothing",),
        also=(
            (
                GATEWAY + "callers.py",
                "return self._admitted(identity, tier, request.scope)",
                'return self._admitted(identity, next((t for t in Tier if f"tier:{t}" in identity.scopes), tier), request.scope)',
            ),
        ),
    ),
)

HOARDING = (
    Mutant(
        "connections: nobody counts a user's",
        GATEWAY + "connection_limits.py",
        "for seat in self.presence.beyond(user_id, limit):",
        "for seat in self.presence.beyond(user_id, limit + 1000):",
        (UNIT + "test_sessions.py::test_one_more_than_the_tier_has_ends_the_oldest", UNIT + "test_presence.py"),
    ),
    Mutant(
        "connections: those of other replicas do not count",
        GATEWAY + "connection_limits.py",
        "for user_id in {*self.presence.heard(report), *self._crowded}:",
        "for user_id in ():",
        (UNIT + "test_presence.py::test_the_oldest_makes_room_wherever_it_is",),
    ),
    Mutant(
        "connections: those of a replica that was killed push out living ones",
        GATEWAY + "presence.py",
        "if peer.heard_at >= moment and (user :=",
        "if (user :=",
        (UNIT + "test_presence.py",),
    ),
    Mutant(
        "connections: two devices push each other out for ever",
        GATEWAY + "connection_limits.py",
        "if self._used_by(user_id) > self._evictions - 1:",
        "if False:",
        (UNIT + "test_presence.py::test_two_devices_that_push_each_other_out_are_damped_and_the_one_that_is_in_stays",),
    ),
    Mutant(
        "rate: a socket may send as much as it likes",
        GATEWAY + "dialogue.py",
        "if self._most is not None and self._count(connection) > self._most:",
        "if False:",
        (UNIT + "test_sessions.py::test_more_messages_than_a_socket_may_send_end_it_and_a_burst_does_not",),
    ),
    Mutant(
        "rate: nonsense may be sent for ever",
        GATEWAY + "dialogue.py",
        "if connection.strikes >= MAX_STRIKES:",
        "if False:",
        (UNIT + "test_sessions.py::test_the_third_message_that_means_nothing_is_closed_with_4501",),
    ),
    Mutant(
        "rate: a user may ask as often as they like",
        GATEWAY + "callers.py",
        "if standing.refusal is not None:",
        "if False:",
        (UNIT + "test_api.py::test_requests_above_the_tiers_limit_are_refused_with_the_time_to_wait",),
    ),
    Mutant(
        "rate: an address may ask for any number of upgrades",
        GATEWAY + "handshake_limits.py",
        "return not self._upgrades.limit(address).limited",
        "return True",
        (EDGE + "test_floods.py::test_one_address_is_refused_above_its_limit_and_counted",),
    ),
    Mutant(
        "rate: whoever invents an address has a limit of its own",
        GATEWAY + "addresses.py",
        "while hops and _is_in(address, trusted):",
        "while hops:",
        (UNIT + "test_addresses.py::test_a_forged_header_gives_nobody_another_limit",),
    ),
    Mutant(
        "half-open: who answers no PING stays",
        GATEWAY + "heartbeat.py",
        "if not connection.wire.ping():",
        "if not connection.wire.ping() and False:",
        (UNIT + "test_heartbeat.py::test_who_was_silent_since_the_last_beat_is_closed_with_4004",),
    ),
)

FLOODS = (
    Mutant(
        "slowloris: half a head is waited for",
        SHARED + "http_protocol.py",
        "self._head_deadline = self.loop.call_later(self.head_seconds * uniform(*SPREAD), self._too_late)",
        "pass",
        (EDGE + "test_upgrade.py::test_a_request_whose_head_does_not_come_is_ended",),
    ),
    Mutant(
        "slowloris: half a body is waited for",
        SHARED + "http_protocol.py",
        "self._body_deadline = self.loop.call_later(self.body_seconds, self._too_late)",
        "pass",
        (EDGE + "test_upgrade.py::test_a_request_whose_body_does_not_come_is_ended",),
    ),
    Mutant(
        "slowloris: who never says who they are stays",
        GATEWAY + "credentials.py",
        "if now - connection.connected_at > AUTH_SECONDS:",
        "if False:",
        (UNIT + "test_sessions.py::test_no_token_for_five_seconds_is_closed_with_4503",),
    ),
    Mutant(
        "oversize: a head may be endless",
        SHARED + "http_protocol.py",
        "if self._head_size > MAX_HEAD_BYTES and not self.transport.is_closing():",
        "if False:",
        (EDGE + "test_upgrade.py::test_a_head_without_end_is_refused_long_before_it_fills_the_memory",),
    ),
    Mutant(
        "oversize: a frame may be endless",
        GATEWAY + "edge.py",
        "            MAX_MESSAGE_BYTES,\n",
        "            2**40,\n",
        (EDGE + "test_rfc6455.py::test_a_frame_over_64_kib_is_too_big",),
    ),
    Mutant(
        "oversize: so may be all fragments together",
        GATEWAY + "listener.py",
        "if len(parts) + frame.payload_size > MAX_MESSAGE_BYTES:",
        "if False:",
        (EDGE + "test_rfc6455.py::test_64_kib_over_all_fragments_is_the_limit",),
    ),
    Mutant(
        "oversize: a body is read whole",
        SHARED + "web.py",
        "if len(body) > limit:",
        "if False:",
        (UNIT + "test_token_api.py::test_what_is_no_form_is_an_invalid_request",),
    ),
    Mutant(
        "oversize: a filter may name any number of symbols",
        GATEWAY + "inbox.py",
        "if len(symbols) > MAX_SYMBOLS:",
        "if False:",
        (UNIT + "test_inbox.py::test_a_filter_is_bounded_in_one_step_and_over_several",),
    ),
)

INFERENCE = (
    Mutant(
        "inference: the pulse tells a starter of premium signals",
        GATEWAY + "dialogue.py",
        "seq = self._feed.rings[connection.feed].seq",
        "seq = self._feed.head",
        (UNIT + "test_sessions.py::test_a_ping_is_answered_with_the_last_number_of_the_clients_own_feed",),
    ),
    Mutant(
        "inference: a starter's cursor is that of the last premium signal",
        GATEWAY + "feed.py",
        "item = self.rings[feed].last_at(position)",
        "item = self.rings[Feed.ALL].last_at(position)",
        (UNIT + "test_sessions.py", UNIT + "test_feed.py"),
    ),
)

OTHERS_TOKENS = (
    Mutant(
        "id token: another client's is taken",
        GATEWAY + "id_tokens.py",
        "        check_audience(claims, self._client_id)\n",
        "",
        (EDGE + "test_key_sets.py::test_an_id_token_is_good_for_us_alone",),
    ),
    Mutant(
        "id token: one that was issued to another client is taken",
        GATEWAY + "id_tokens.py",
        'if claims.get("azp", None if several else self._client_id) != self._client_id:',
        "if False:",
        (EDGE + "test_key_sets.py::test_an_id_token_is_good_for_us_alone",),
    ),
    Mutant(
        "id token: another provider's is taken",
        GATEWAY + "id_tokens.py",
        "        check_issuer(claims, self._issuer)\n",
        "",
        (EDGE + "test_key_sets.py::test_an_id_token_is_good_for_us_alone",),
    ),
    Mutant(
        "id token: an address that nobody has verified names a user",
        GATEWAY + "id_tokens.py",
        'claims.get("email_verified", True) not in {True, "true"}',
        "False",
        (EDGE + "test_key_sets.py::test_an_address_that_nobody_has_verified_names_nobody",),
    ),
    Mutant(
        "keys: they are fetched where the token says",
        GATEWAY + "signatures.py",
        '    if not candidates and algorithm != "HS256"',
        '    if not candidates and "jku" in header:\n'
        '        __import__("httpx").get(header["jku"])\n'
        '    if not candidates and algorithm != "HS256"',
        (EDGE + "test_key_sets.py::test_tokens_of_unknown_keys_make_it_ask_once_in_30_s_and_never_where_they_say",),
    ),
    Mutant(
        "keys: the one inside the token counts",
        GATEWAY + "signatures.py",
        "    for key in candidates:\n",
        '    if "x" in (own := header.get("jwk", "")):\n        candidates = [ECKey.import_key(own)]\n'
        "    for key in candidates:\n",
        (EDGE + "test_key_sets.py::test_forged_tokens_are_not_accepted",),
    ),
    Mutant(
        "keys: an address without TLS is asked",
        GATEWAY + "identity_settings.py",
        'raise ValueError("must be an https address")',
        "pass",
        (UNIT + "test_gateway_settings.py::test_what_is_missing_or_wrong_is_named_and_ends_the_start_with_78",),
    ),
    Mutant(
        "keys: a redirect is followed",
        GATEWAY + "jwks.py",
        "follow_redirects=False",
        "follow_redirects=True",
        (EDGE + "test_key_sets.py::test_a_bad_answer_is_no_key_set_and_what_was_known_stays_known",),
    ),
    Mutant(
        "keys: every stranger's token makes them be fetched",
        GATEWAY + "jwks.py",
        "if not self._fetching and self._clock() - self._begun < REFETCH_SECONDS:",
        "if False:",
        (EDGE + "test_key_sets.py::test_tokens_of_unknown_keys_make_it_ask_once_in_30_s_and_never_where_they_say",),
    ),
    Mutant(
        "keys: a slow answer is waited for",
        GATEWAY + "jwks.py",
        "FETCH_SECONDS = 3.0",
        "FETCH_SECONDS = 600.0",
        (EDGE + "test_key_sets.py::test_a_slow_issuer_is_given_up_and_holds_up_nothing_meanwhile",),
    ),
    Mutant(
        "keys: a huge answer is read",
        GATEWAY + "jwks.py",
        "if len(body) > MAX_BYTES:",
        "if False:",
        (EDGE + "test_key_sets.py::test_a_bad_answer_is_no_key_set_and_what_was_known_stays_known",),
    ),
    Mutant(
        "keys: what is published for something else is trusted",
        GATEWAY + "jwks.py",
        'if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or',
        "if not isinstance(entry, dict) or",
        (EDGE + "test_key_sets.py::test_weak_keys_and_keys_for_something_else_are_not_trusted",),
    ),
    Mutant(
        "keys: weak ones are trusted",
        GATEWAY + "signatures.py",
        'return "RS256" if key.raw_value.key_size in RSA_BITS else None',
        'return "RS256"',
        (EDGE + "test_key_sets.py::test_weak_keys_and_keys_for_something_else_are_not_trusted",),
    ),
)

REVOKED = (
    Mutant(
        "revocation: a revoked token opens a socket",
        GATEWAY + "credentials.py",
        "elif self._tiers.revoked(identity.user_id, identity.issued_at):",
        "elif False:",
        (UNIT + "test_sessions.py::test_a_revoked_token_cannot_come_back",),
        also=(
            (
                GATEWAY + "credentials.py",
                "revoked = known.tokens_valid_after > connection.issued_at",
                "revoked = False",
            ),
        ),
    ),
    Mutant(
        "revocation: a revoked token prolongs a socket",
        GATEWAY + "credentials.py",
        "elif self._tiers.revoked(identity.user_id, identity.issued_at):",
        "elif False:",
        (UNIT + "test_sessions.py::test_a_token_issued_before_a_revocation_does_not_refresh_a_connection",),
    ),
    Mutant(
        "revocation: a look-up does not tell of it",
        GATEWAY + "tier_cache.py",
        "state.tokens_valid_after or 0.0",
        "0.0",
        (UNIT + "test_sessions.py::test_a_revoked_token_is_refused_when_the_look_up_says_so",),
    ),
    Mutant(
        "revocation: an event does not tell of it",
        GATEWAY + "tier_cache.py",
        "return replace(known, tokens_valid_after=max(known.tokens_valid_after, event.tokens_valid_after))",
        "return known",
        (UNIT + "test_sessions.py::test_a_revocation_closes_older_sockets_with_4500_and_newer_ones_stay",),
    ),
    Mutant(
        "revocation: a clock that is behind makes void tokens valid again",
        TIERS + "domain.py",
        "after = max(self.now, user.tokens_valid_after or 0.0)",
        "after = self.now",
        ("tests/unit/tiers/test_settlement.py::test_a_clock_that_runs_behind_never_makes_revoked_tokens_valid_again",),
    ),
    Mutant(
        "revocation: a revoked token may ask over HTTP",
        GATEWAY + "callers.py",
        "if self._tiers.revoked(identity.user_id, identity.issued_at):",
        "if False:",
        (UNIT + "test_api.py::test_a_revoked_token_is_refused",),
    ),
    Mutant(
        "revocation: a stream goes on",
        GATEWAY + "streams.py",
        " or self._tiers.revoked(caller.user_id, caller.issued_at):",
        ":",
        (UNIT + "test_streams.py::test_a_stream_outlives_neither_its_token_nor_its_tier",),
    ),
    Mutant(
        "revocation: a revoked session is exchanged for a token",
        GATEWAY + "token_exchange.py",
        "if await self._revoked(subject):",
        "if False:",
        (UNIT + "test_token_api.py::test_a_revoked_session_is_exchanged_no_more",),
    ),
    Mutant(
        "revocation: an exchanged token is younger than its session",
        GATEWAY + "token_issuer.py",
        '"iat": int(subject.issued_at)',
        '"iat": now',
        (UNIT + "test_token_api.py::test_a_session_is_exchanged_for_a_token_that_its_own_verifier_takes",),
    ),
    Mutant(
        "exchange: a token outlives its session",
        GATEWAY + "token_issuer.py",
        "expires_at = min(now + self._lifetime, int(subject.expires_at))",
        "expires_at = now + self._lifetime",
        (UNIT + "test_token_api.py::test_a_token_ends_no_later_than_its_session",),
    ),
)

PRODUCERS = (
    Mutant(
        "squatting: anybody may speak for any producer",
        INGEST + "domain/sender.py",
        "if user_id not in trusted or PRODUCER_HEADER not in headers:",
        "if PRODUCER_HEADER not in headers:",
        ("tests/unit/ingest/test_sender.py::test_nobody_else_can_speak_in_anothers_name",),
    ),
    Mutant(
        "squatting: who does not say who they are is taken",
        INGEST + "domain/sender.py",
        "    if not user_id:\n        raise",
        "    if user_id is None:\n        raise",
        ("tests/unit/ingest/test_sender.py::test_without_a_user_id_nobody_is_the_producer",),
    ),
    Mutant(
        "producer's key: it stands in the database",
        INGEST + "domain/producer_keys.py",
        "return sha256(key.encode()).digest()",
        "return key.encode()",
        (PRODUCER_TESTS + "test_a_key_names_its_producer_and_is_not_in_the_database",),
    ),
    Mutant(
        "producer's key: the one before the last is still good",
        INGEST + "producer_store.py",
        "await self._retire(session, name, keep=0 if revoke_others else LIVE_KEYS - 1)",
        "pass",
        (PRODUCER_TESTS + "test_two_keys_are_live_while_a_producer_changes_over",),
    ),
    Mutant(
        "producer: a disabled one is heard over HTTP",
        INGEST + "api_keys.py",
        "if self._producers.disabled(producer):",
        "if False:",
        (PRODUCER_TESTS + "test_a_disabled_producer_is_forbidden_and_an_enabled_one_taken_again",),
    ),
    Mutant(
        "producer: a disabled one is heard over AMQP",
        INGEST + "delivery.py",
        "if self._producers.disabled(producer):",
        "if False:",
        (PRODUCER_TESTS + "test_over_amqp_a_disabled_producer_is_dead_lettered",),
    ),
    Mutant(
        "producer: a wrong key is as good",
        INGEST + "api_keys.py",
        "if producer is None:",
        "if False:",
        ("tests/integration/ingest/test_http_submissions.py::test_without_a_right_key_nothing_is_taken",),
    ),
    Mutant(
        "producer: it may send as much as it likes",
        INGEST + "api.py",
        "        limits.count(origin.producer)\n",
        "",
        (PRODUCER_TESTS + "test_above_its_limit_a_producer_is_told_when_to_come_back",),
    ),
    Mutant(
        "bad JSON: NaN is a number",
        INGEST + "domain/strict_json.py",
        "parse_constant=_NotANumber",
        "parse_constant=Number",
        (SUBMISSION_TESTS + "test_what_is_no_json_is_refused",),
    ),
    Mutant(
        "bad JSON: of two equal names the last counts",
        INGEST + "domain/strict_json.py",
        "return fields if len(fields) == len(pairs) else Flawed(_twice(pairs))",
        "return fields",
        (SUBMISSION_TESTS + "test_what_is_no_json_is_refused",),
    ),
    Mutant(
        "bad JSON: depth is unbounded",
        INGEST + "domain/strict_json.py",
        '    except RecursionError as error:\n        _refuse("nested too deeply", error)\n',
        "",
        (SUBMISSION_TESTS + "test_what_is_no_json_is_refused",),
    ),
    Mutant(
        "bad number: infinity is one",
        INGEST + "domain/fields.py",
        "elif not isfinite(value):",
        "elif False:",
        (SUBMISSION_TESTS + "test_a_number_that_no_float_holds_is_refused",),
    ),
    Mutant(
        "bad number: its text may be endless",
        INGEST + "domain/fields.py",
        "elif len(value.text) > MAX_NUMBER_TEXT:",
        "elif False:",
        (SUBMISSION_TESTS + "test_a_number_that_no_float_holds_is_refused",),
    ),
    Mutant(
        "bad body: it may be endless",
        INGEST + "domain/submission.py",
        "if len(body) > MAX_BODY:",
        "if False:",
        (SUBMISSION_TESTS + "test_a_body_above_the_limit_is_too_large",),
    ),
)

REACH = (
    Mutant(
        "permissions: a gateway publishes signals and tiers of its own",
        SHARED + "messaging/permissions.py",
        '"gateway": Permissions(configure=(*EVENTS, *GATEWAYS), write=GATEWAYS,',
        '"gateway": Permissions(configure=(*EVENTS, *GATEWAYS), write=(*EVENTS, *GATEWAYS),',
        (PERMISSION_TESTS + "test_the_broker_refuses_every_cell_outside_the_matrix",),
    ),
    Mutant(
        "permissions: a producer reads what others send",
        SHARED + "messaging/permissions.py",
        "PRODUCER: Permissions(write=(SIGNALS_INBOUND,)),",
        "PRODUCER: Permissions(write=(SIGNALS_INBOUND,), read=(SIGNALS_INBOUND,)),",
        (PERMISSION_TESTS + "test_the_broker_refuses_every_cell_outside_the_matrix",),
    ),
    Mutant(
        "keys: an administrator's is guessed",
        SHARED + "web.py",
        "if not hmac.compare_digest(given.encode(), expected):",
        "if False:",
        ("tests/integration/tiers/test_tiers_bad_input.py::test_the_service_key_does_not_set_tiers",),
    ),
    Mutant(
        "operations: anybody with a token sees them",
        GATEWAY + "ops.py",
        "if SCOPE not in identity.scopes:",
        "if False:",
        (UNIT + "test_ops_api.py::test_only_a_token_with_the_scope_is_answered",),
    ),
    Mutant(
        "network: pods may reach each other",
        "deploy/k8s/base/network-policies.yaml",
        "policyTypes: [Ingress, Egress]\n---",
        "policyTypes: [Egress]\n---",
        ("tests/deploy/test_network.py::test_everything_is_denied_by_default",),
    ),
    Mutant(
        "supply: packages are installed without their hashes",
        "deploy/Dockerfile",
        "--require-hashes -r /locks/${SERVICE}.lock",
        "-r /locks/${SERVICE}.lock",
        ("tests/deploy/test_image.py::test_everything_is_installed_from_a_lock_with_hashes_and_run_by_nobody",),
    ),
    Mutant(
        "containers: they keep their rights",
        "deploy/compose.yaml",
        "  read_only: true\n  cap_drop: [ALL]",
        "  read_only: true\n  cap_drop: []",
        ("tests/deploy/test_compose.py::test_containers_have_no_more_rights_than_they_need",),
    ),
)

SECURITY = (
    *CROSS_SITE,
    *TOKENS_IN_SIGHT,
    *FORGED,
    *STALE,
    *HOARDING,
    *FLOODS,
    *INFERENCE,
    *OTHERS_TOKENS,
    *REVOKED,
    *PRODUCERS,
    *REACH,
)
