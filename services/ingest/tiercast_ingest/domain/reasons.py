"""Stable words for why a submission is refused: `code` in answers, `x-reason` on dead letters, `reason` in metrics."""

INVALID_JSON = "invalid_json"
INVALID_FIELD = "invalid_field"
HASH_MISMATCH = "hash_mismatch"
CONFLICT = "conflict"
TOO_LARGE = "too_large"
UNSTORABLE = "unstorable"
MISSING_KEY = "missing_key"
WRONG_KEY = "wrong_key"
PRODUCER_DISABLED = "producer_disabled"
NO_USER_ID = "no_user_id"
INVALID_PRODUCER = "invalid_producer"
MESSAGE_ID_MISMATCH = "message_id_mismatch"

REASONS = (
    INVALID_JSON,
    INVALID_FIELD,
    HASH_MISMATCH,
    CONFLICT,
    TOO_LARGE,
    UNSTORABLE,
    MISSING_KEY,
    WRONG_KEY,
    PRODUCER_DISABLED,
    NO_USER_ID,
    INVALID_PRODUCER,
    MESSAGE_ID_MISMATCH,
)
