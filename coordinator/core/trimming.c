#include "coordinator/core/trimming.h"

#include "coordinator/core/mutations.h"
#include "coordinator/core/queue.h"
#include "coordinator/core/sessions.h"
#include "model/timestamp.h"

enum { TRIM_RECORD_COUNT_MAX = 20000 };

// The log up to here is not needed by any replica, whatever its mode and state (Q4).
static uint64_t needless_row_index(const struct tablet *tablet)
{
    const struct table *table = tablet->table;
    uint64_t row_index = UINT64_MAX;
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        const struct session *session = table->replicas[i]->session;
        row_index = MIN(row_index, session->tablets[tablet->index].progress.row_index);
    }
    return row_index;
}

static struct error *trim_tablet(struct coordinator *coordinator, struct tablet *tablet)
{
    struct cell *cell = coordinator->cell;
    const struct table *table = tablet->table;
    if (arr_count(table->replicas) == 0 || !tablet_is_active(tablet)) return NULL;
    uint64_t row_index = needless_row_index(tablet);
    uint64_t ttl_us = table->settings.min_replication_log_ttl_ms * 1000;
    uint64_t timestamp_max = 0;
    if (cell->wall_us >= ttl_us) timestamp_max = timestamp_from_wall_us(cell->wall_us - ttl_us);
    if (tablet->freed_row_index > tablet->queue->trimmed.row_index) {
        row_index = MIN(row_index, tablet->freed_row_index);
        timestamp_max = TIMESTAMP_MAX;
    }
    bool is_trimmed = false;
    TRY(queue_trim(
        tablet->queue, &cell->batch, row_index, timestamp_max, TRIM_RECORD_COUNT_MAX, &is_trimmed));
    if (!is_trimmed) return NULL;
    for (size_t i = 0; i < arr_count(table->replicas); i++) {
        session_save_progress(cell, table->replicas[i]->session);
    }
    return NULL;
}

void coordinator_log_freed(struct coordinator *coordinator, struct table *table)
{
    for (uint32_t i = 0; i < table->tablet_count && arr_count(table->replicas) > 0; i++) {
        table->tablets[i].freed_row_index = needless_row_index(&table->tablets[i]);
    }
    coordinator->next_trim_us = coordinator->cell->now_us;
}

void trimming_tick(struct coordinator *coordinator)
{
    struct cell *cell = coordinator->cell;
    if (cell->now_us < coordinator->next_trim_us || coordinator->amnesia) return;
    coordinator->next_trim_us = cell->now_us + TRIM_PERIOD_US;
    for (struct tablet *tablet = cell->tree.tablets; tablet; tablet = tablet->hh.next) {
        if (!tablet->queue) continue;
        struct error *error = trim_tablet(coordinator, tablet);
        if (error && !cell->fatal) cell->fatal = TAKE(error);
        error_free(error);
    }
    mutations_forget_old(coordinator);
    cell_apply(cell);
}
