// What a replica is and does, in YTsaurus's words and numbers.
// Source: YTsaurus yt/yt/client/tablet_client/public.h.
#pragma once

enum replica_mode { REPLICA_MODE_SYNC = 0, REPLICA_MODE_ASYNC = 1 };

enum replica_state {
    REPLICA_STATE_NONE = 0,
    REPLICA_STATE_DISABLING = 1,
    REPLICA_STATE_DISABLED = 2,
    REPLICA_STATE_ENABLED = 3,
    REPLICA_STATE_ENABLING = 4,
};

enum tablet_state {
    TABLET_MOUNTING = 0,
    TABLET_MOUNTED = 1,
    TABLET_UNMOUNTING = 2,
    TABLET_UNMOUNTED = 3,
    TABLET_FREEZING = 4,
    TABLET_FROZEN = 5,
    TABLET_UNFREEZING = 6,
    TABLET_FROZEN_MOUNTING = 7,
};

// The state that a tablet is on its way to; its own if it is not on its way.
static inline enum tablet_state tablet_state_expected(enum tablet_state state)
{
    switch (state) {
    case TABLET_MOUNTING:
    case TABLET_UNFREEZING:
    case TABLET_MOUNTED: return TABLET_MOUNTED;
    case TABLET_UNMOUNTING:
    case TABLET_UNMOUNTED: return TABLET_UNMOUNTED;
    case TABLET_FREEZING:
    case TABLET_FROZEN_MOUNTING:
    case TABLET_FROZEN: return TABLET_FROZEN;
    }
    return state;
}

static inline const char *replica_mode_name(enum replica_mode mode)
{
    switch (mode) {
    case REPLICA_MODE_SYNC: return "sync";
    case REPLICA_MODE_ASYNC: return "async";
    }
    return "unknown";
}

static inline const char *replica_state_name(enum replica_state state)
{
    switch (state) {
    case REPLICA_STATE_NONE: return "none";
    case REPLICA_STATE_DISABLING: return "disabling";
    case REPLICA_STATE_DISABLED: return "disabled";
    case REPLICA_STATE_ENABLED: return "enabled";
    case REPLICA_STATE_ENABLING: return "enabling";
    }
    return "unknown";
}

static inline const char *tablet_state_name(enum tablet_state state)
{
    switch (state) {
    case TABLET_MOUNTING: return "mounting";
    case TABLET_MOUNTED: return "mounted";
    case TABLET_UNMOUNTING: return "unmounting";
    case TABLET_UNMOUNTED: return "unmounted";
    case TABLET_FREEZING: return "freezing";
    case TABLET_FROZEN: return "frozen";
    case TABLET_UNFREEZING: return "unfreezing";
    case TABLET_FROZEN_MOUNTING: return "frozen_mounting";
    }
    return "unknown";
}
