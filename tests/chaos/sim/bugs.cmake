# SPDX-License-Identifier: Apache-2.0
# A checker that cannot fail proves nothing. Each row is a bug made on purpose: one text in one file is
# replaced, the file is compiled into a simulation of its own in front of the libraries, and the test
# passes only if that simulation finds a violation whose name begins with one of those expected.
#
#   sim_bug(<name> <file> <expected names, by commas> <seeds at most> <old text> <new text>)
#
# The old text must occur exactly once, else the build stops. Where the guard lives in lib/kafka, which
# the simulation replaces, the bug is one of the model's client or broker, switched on for all seeds.

function(sim_bug name file expected seeds old new)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/bugs)
  file(CONFIGURE OUTPUT ${folder}/${name}.old CONTENT "${old}" @ONLY)
  file(CONFIGURE OUTPUT ${folder}/${name}.new CONTENT "${new}" @ONLY)
  set(in ${PROJECT_SOURCE_DIR}/${file})
  set(out ${folder}/${name}.c)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DIN=${in} -DOLD=${folder}/${name}.old
            -DNEW=${folder}/${name}.new -DOUT=${out} -P ${CMAKE_CURRENT_SOURCE_DIR}/mutate.cmake
    DEPENDS ${in} ${folder}/${name}.old ${folder}/${name}.new mutate.cmake
    COMMENT "Making the bug ${name}" VERBATIM)
  set_source_files_properties(${out} PROPERTIES COMPILE_OPTIONS -w)
  sim_program(sim_bug_${name} ${out})
  add_test(NAME chaos.sim_bug_${name}
    COMMAND sim_bug_${name} --seeds ${seeds} --expect ${expected})
  set_tests_properties(chaos.sim_bug_${name} PROPERTIES LABELS "chaos;sim" TIMEOUT 300)
endfunction()

set(LIQUIDATION services/liquidation/liquidation.c)
set(SWARM tests/chaos/sim/swarm.c)

# ---- offsets and transactions ----

# T1: a committed offset that a transaction still holds is taken as it was before.
sim_bug(unsafe_assign ${SWARM} "I6" 2000
  [==[        .cut_permille = rate(8, 2),]==]
  [==[        .bug_takes_pending_offsets = true, .cut_permille = rate(8, 2),]==])

# T2: after an abort that ended the step, what led to its decisions is taken for accounted for.
sim_bug(no_rewind ${LIQUIDATION} "I1,V,I8" 2000
  [==[        return PL_OK; /* stale: the next step decides anew, with a new clock */]==]
  [==[    {
        for (int32_t i = 0; i < service->partition_count; i++)
            if (service->partitions[i].stage == STAGE_LOADED) {
                ledger_forget_causes(&service->partitions[i].ledger);
                ledger_forget_dead(&service->partitions[i].ledger, true);
            }
        return PL_OK;
    }]==])

# T3: trouble with a partition's committed offset is taken for "none was committed".
sim_bug(error_for_none ${SWARM} "I6" 2000
  [==[        .cut_permille = rate(8, 2),]==]
  [==[        .bug_takes_error_for_none = true, .cut_permille = rate(8, 2),]==])

# A worker that is out of the group still commits for partitions that others own by now.
sim_bug(lost_partition ${SWARM} "I1,I2,I3,I6,I8,I12" 4000
  [==[        .cut_permille = rate(8, 2),]==]
  [==[        .bug_generation_unchecked = true, .cut_permille = rate(8, 2),]==])

# The older holder of a transactional id goes on beside the younger one.
sim_bug(unfenced_twin ${SWARM} "I1,I2,I3,I6,I8,I12" 4000
  [==[        .cut_permille = rate(8, 2),]==]
  [==[        .bug_twins_unfenced = true, .cut_permille = rate(8, 2),]==])

# The states of a dead predecessor are read to the last stable offset instead of the high watermark.
sim_bug(states_to_stable services/liquidation/partition.c "I6" 2000
  [==[    enum pl_err err = pl_reader_watermarks(service->probe, PL_TOPIC_ACCOUNTS, number, QUERY_WAIT_MS,]==]
  [==[    enum pl_err err = pl_reader_watermarks(service->data, PL_TOPIC_ACCOUNTS, number, QUERY_WAIT_MS,]==])

# Alerts are sent by a producer of their own.
sim_bug(alert_outside ${LIQUIDATION} "I6,I7,I12,V" 500
  [==[        err = pl_txn_produce(service->txn, output->topic, output->partition, output->key,
                             output->value, output->headers, output->header_count);]==]
  [==[        if (output->topic == PL_TOPIC_ALERTS) {
            struct pl_producer *plain = NULL;
            err = pl_producer_open(&plain, &service->kafka);
            if (!err)
                err = pl_producer_send(plain, output->topic, output->partition, output->key,
                                       output->value, output->headers, output->header_count);
            if (!err)
                err = pl_producer_flush(plain, 1000);
            pl_producer_close(&plain);
            if (err)
                err = PL_ABORT_TRANSACTION;
            continue;
        }
        err = pl_txn_produce(service->txn, output->topic, output->partition, output->key,
                             output->value, output->headers, output->header_count);]==])

# Reports that wait undecided are committed as read.
sim_bug(waiting_executions ${LIQUIDATION} "I1,I8,I12,V" 2000
  [==[        .offset = is_deciding
                      ? pl_reader_position(data, PL_TOPIC_EXECUTIONS, partition->number)
                      : partition->executions_next };]==]
  [==[        .offset = pl_reader_position(data, PL_TOPIC_EXECUTIONS, partition->number) };]==])

# A rejected execution report is not told of.
sim_bug(dropped_letter ${LIQUIDATION} "I1,I8,V" 1000
  [==[        ledger_reject(&partition->ledger, record, err);]==]
  [==[        if (record->topic != PL_TOPIC_EXECUTIONS)
            ledger_reject(&partition->ledger, record, err);]==])

# ---- the journal ----

sim_bug(wrong_hash ${LIQUIDATION} "I12" 200
  [==[    memcpy(partition->last_hash, partition->entry_hash, PL_HASH_BYTES);]==]
  [==[    if (partition->entry.sequence % 7 != 3)
        memcpy(partition->last_hash, partition->entry_hash, PL_HASH_BYTES);]==])

# A decision rests on a clock that is not the journaled one.
sim_bug(unjournaled_clock ${LIQUIDATION} "I8,V,I4" 500
  [==[    venue_update(&service->venue, service->now_ms);]==]
  [==[    venue_update(&service->venue, service->now_ms + (pl_mono_ms() & 127));]==])

# The clock goes back with the wall's.
sim_bug(clock_goes_back ${LIQUIDATION} "I4,I8,I12,V,I6" 2000
  [==[    if (now_ms > service->now_ms)
        service->now_ms = now_ms;]==]
  [==[    service->now_ms = now_ms;
    if (now_ms > 0)
        return;]==])

# ---- deciding ----

sim_bug(stale_marks lib/exposure/market.c "I4,V" 500
  [==[    if (mark->status == PL_MARK_LIVE &&
        !pl_mark_is_fresh(mark->event_time_ms, now_ms, instrument->price_rules.age_ms_max))]==]
  [==[    if (false)]==])

sim_bug(stale_watermark services/liquidation/decide.c "I4,V" 1000
  [==[    return age_ms > most_ms ||]==]
  [==[    return]==])

# G5: what is executed is taken for shown before holdings show it.
sim_bug(early_release lib/exposure/decide.c "I3,V" 500
  [==[        if ((is_terminal || is_late) && open_lots(&pending, pending.applied_lots) == 0) continue;]==]
  [==[        if (is_terminal || (is_late && open_lots(&pending, pending.applied_lots) == 0)) continue;]==])

# G3: the search leaves one account out.
sim_bug(skipped_account lib/exposure/screen.c "I8,V" 500
  [==[    for (uint32_t row = 0; market->changed_mask != 0 && row < row_count; row++)]==]
  [==[    for (uint32_t row = 1; market->changed_mask != 0 && row < row_count; row++)]==])

# The first account is not decided again after a restart.
sim_bug(forgotten_restart services/liquidation/partition.c "I8,V,I1" 2000
  [==[    partition->ledger.decide_all = true;
    partition->audit_mono_ms]==]
  [==[    partition->audit_mono_ms]==])

sim_bug(flipped_rounding lib/exposure/plan.c "V" 500
  [==[pl_div_floor((pl_i128)quote->lot_vu * (PL_PPM - discount_ppm), whole)]==]
  [==[pl_div_ceil((pl_i128)quote->lot_vu * (PL_PPM - discount_ppm), whole)]==])

# The dry run of a parameter set takes effect.
sim_bug(shadow_decides services/liquidation/apply.c "I1,V,I4,I8,I11,I12" 500
  [==[record->topic == PL_TOPIC_PARAMETERS && is_effective(record->key)]==]
  [==[record->topic == PL_TOPIC_PARAMETERS]==])

# Its set is read into the place of the one in force.
sim_bug(shadow_in_force services/liquidation/shadow.c "V,I4,I8,I11,I12" 500
  [==[shadow->size_bytes }, shadow->parameters);]==]
  [==[shadow->size_bytes }, service->venue.parameters);]==])

# ---- margin calls ----

# G3: nobody looks when a call's grace is over, or when an alert that was held back may be told.
sim_bug(forgotten_deadline lib/exposure/screen.c "I8,V" 1000
  [==[    if (state->due_ms > 0 && market->now_ms >= state->due_ms) return true;]==] "")
sim_bug(never_told lib/exposure/screen.c "I8,V" 2000
  [==[        !pl_is_told_lately(market, state))]==]
  [==[        !pl_is_told_lately(market, state) && state->state == PL_STATE_BANKRUPT)]==])

# A second feed goes bad, and whoever mends the first thinks that it is all.
sim_bug(doubt_untold lib/exposure/decide.c "V alert" 1000
  [==[    if (has_more_doubts(prior, state)) add_alert]==]
  [==[    if (prior->doubt_count == 0 && has_more_doubts(prior, state)) add_alert]==])

# An account is sold and nobody is told, because it was sold a moment ago.
sim_bug(silent_liquidation lib/exposure/decide.c "V" 1000
  [==[    if (state->state >= PL_STATE_LIQUIDATING) return false;
    for]==] [==[    for]==])

sim_bug(flattered_ratio lib/exposure/ratio.c "V alert" 100
  [==[    *ppm = pl_div_floor(]==] [==[    *ppm = pl_div_ceil(]==])

sim_bug(dear_cure lib/exposure/cure.c "V alert" 1000
  [==[        return a->cost_vu < b->cost_vu;]==] [==[        return a->cost_vu > b->cost_vu;]==])
# A cure asks for as much as if all of the leg were traded at once.
sim_bug(deep_cure lib/exposure/cure.c "V alert" 1000
  [==[    const uint32_t rung = pl_item_rung(&trial->item, from + 1);]==]
  [==[    const uint32_t rung = trial->item.rung_count - 1;]==])

# A large order is promised the price of a small one; more is sold at once than the venue's slice; an order
# is no multiple of the venue's lots; what would be left is too little for the venue.
sim_bug(shallow_limit lib/exposure/plan.c "V" 500
  [==[    while (units > item->rung_units[rung])]==] [==[    while (false && units > item->rung_units[rung])]==])
sim_bug(no_slice lib/exposure/plan.c "V" 500
  [==[        cap(item, units_for(item, instrument->slice_usd_max, false));]==]
  [==[        cap(item, item->units_max);]==])
sim_bug(odd_lots lib/exposure/plan.c "V" 500
  [==[    item->unit_lots = instrument->lot_step > 0 ? instrument->lot_step : 1;]==]
  [==[    item->unit_lots = 1;]==])
sim_bug(needless_extension lib/exposure/plan.c "V" 500
  [==[    int64_t units = item->units < item->units_notional ? item->units_notional : item->units;]==]
  [==[    int64_t units = item->units + (item->units < item->units_max && item->units_min == 0);]==])

# More of a leg is taken at once than the close factor allows.
sim_bug(close_too_much lib/exposure/plan.c "V" 1000
  [==[    if (item->units_whole - part >= left_min)]==]
  [==[    if (false && item->units_whole - part >= left_min)]==])

# A close factor does not bind an account that is healthy enough; too little is left of a leg.
sim_bug(close_by_any_health lib/exposure/plan.c "V" 1000
  [==[    return debt > 0 && excess * PL_PPM < (limit_ppm - PL_PPM) * debt;]==]
  [==[    return debt > 0 && excess < 0;]==])
sim_bug(leaves_scraps lib/exposure/plan.c "V" 1000
  [==[    return left > 0 && left < item->units_left_min && item->units_max]==]
  [==[    return left > 0 && left < item->units_notional && item->units_max]==])

# Who needs more than one order is called bankrupt.
sim_bug(bankrupt_too_soon lib/exposure/plan.c "V" 1000
  [==[    plan->is_hopeless = !plan->is_own && !do_revisions_reach(plan);]==]
  [==[    plan->is_hopeless = !plan->is_own;]==])

# A hopeless account is not closed where the policy says so.
sim_bug(left_open lib/exposure/plan.c "V" 1000
  [==[policy.close_hopeless ? close_all(plan) : excess;]==]
  [==[policy.close_hopeless && false ? close_all(plan) : excess;]==])

# An order is for more than its plan: nothing of it gets out.
sim_bug(more_than_planned lib/exposure/decide.c "I,V" 500
  [==[        .ordered_lots = leg->lots,]==] [==[        .ordered_lots = leg->lots + 1,]==])

# An order flatters its plan.
sim_bug(flattered_gap lib/exposure/plan.c "V" 500
  [==[        sale->gap_ppm = (int32_t)pl_div_ceil(]==] [==[        sale->gap_ppm = (int32_t)pl_div_floor(]==])

# What is credited before it is final is sold.
sim_bug(sells_credit lib/exposure/plan.c "V" 2000
  [==[        return held > leg->credited_lots ? held - leg->credited_lots : 0;]==]
  [==[        return held;]==])

# Dust that nobody buys hides a debt, or a debt is told while sales may still cover it.
sim_bug(hidden_debt lib/exposure/decide.c "V" 500
  [==[    pl_i128 left_vu = market->parameters->policy.bad_debt_dust_usd * (pl_i128)PL_USD_VU;]==]
  [==[    pl_i128 left_vu = 0;]==])
sim_bug(early_debt lib/exposure/decide.c "V" 500
  [==[            value_vu > left_vu)]==] [==[            false)]==])

# G8
sim_bug(halt_ignored services/liquidation/apply.c "V,I4" 1000
  [==[    bool is_halted = venue->is_halted || venue->control_damaged;]==]
  [==[    bool is_halted = venue->control_damaged;]==])

# G8: a halt of an account leaves its isolated buckets alone.
sim_bug(halt_misses_buckets services/liquidation/apply.c "V,I4" 2000
  [==[        is_halted = venue->halted[i].size_bytes == account.size_bytes &&]==]
  [==[        is_halted = id->size_bytes == account.size_bytes && venue->halted[i].size_bytes == account.size_bytes &&]==])

# G4: what came before a record that could not be read is taken for the last word.
sim_bug(untainted services/liquidation/apply.c "I4,V" 1000
  [==[    if (!pl_book_taint(ledger->book, &account, &index))]==]
  [==[    if (!pl_book_account(ledger->book, &account, &index))]==])

# What is stuck on a halted chain is sold.
sim_bug(stuck_is_sold lib/exposure/plan.c "V,I4,I8" 1000
  [==[quote->status != PL_MARK_LIVE || quote->is_stuck)]==]
  [==[quote->status != PL_MARK_LIVE)]==])

# What is stuck goes on lending.
sim_bug(stuck_lends lib/exposure/market.c "V,I4,I8" 1000
  [==[        market->weights[tier][i].own_long += *last - haircut.at[tier];]==]
  [==[]==])

# Part of a debt may be repaid, and all of it is.
sim_bug(call_of_all lib/exposure/call.c "V order" 1000
  [==[            call->close_factor_ppm = contract->close_factor_ppm;]==]
  [==[            call->close_factor_ppm = PL_PPM;]==])

# A call takes a lot more than its repayment pays for.
sim_bug(call_takes_more lib/exposure/call.c "V order" 1000
  [==[        smaller(exchange(debt, call->debt_lots, held, gain, PL_PPM, false), sale->lots);]==]
  [==[        smaller(exchange(debt, call->debt_lots, held, gain, PL_PPM, true), INT64_MAX);]==])

# A contract that derives its bonus is paid none.
sim_bug(call_without_bonus lib/exposure/call.c "V order" 1000
  [==[        call->bonus_ppm = pl_call_morpho_bonus_ppm(instrument);]==]
  [==[        call->bonus_ppm = 0;]==])

# A halt of the chain, and nobody looks at the holders.
sim_bug(halt_unseen lib/exposure/market.c "I8,V,I11,I4" 1000
  [==[        if (!has_changed && pl_quotes_are_equal(&quote, &market->quotes[i]))]==]
  [==[        quote.is_stuck = has_changed ? market->quotes[i].is_stuck : quote.is_stuck;
        if (pl_quotes_are_equal(&quote, &market->quotes[i]))]==])

# Of several ways to a dependency the first counts, not the worst.
sim_bug(first_path lib/exposure/lookthrough.c "V,I4,I8" 1000
  [==[        if (loss <= to->loss.at[tier])]==]
  [==[        if (to->loss.at[tier] != 0)]==])

# Losses along a way are rounded for the holder.
sim_bug(path_rounded_down lib/exposure/lookthrough.c "V,I4,I8" 1000
  [==[    return (int32_t)pl_div_ceil(product, scale);]==]
  [==[    return (int32_t)(product / scale);]==])

# A joint failure forgets its last member.
sim_bug(member_forgotten lib/wire/parameter_set.c "V,I4,I8" 1000
  [==[    for (uint32_t i = 0; !err && i < count; i++) {
        err = read_dependency(place, "members",]==]
  [==[    for (uint32_t i = 0; !err && i + 1 < count; i++) {
        err = read_dependency(place, "members",]==])

# A twin of the price service that has not seen the newest base set is believed.
sim_bug(older_base lib/exposure/parameters.c "I12" 1000
  [==[    if (next->base_epoch != 0 && next->base_epoch < last->base_epoch)]==]
  [==[    if (next->epoch == 0)]==])

# A derived haircut is believed whatever it is.
sim_bug(beyond_cap lib/exposure/parameters_kinds.c "I12" 1000
  [==[        enum pl_err err = pl_check_range(instrument->haircut_long.at[tier], base, cap);]==]
  [==[        enum pl_err err = pl_check_range(cap, base, cap);]==])

# Revisions of one episode share their ids.
sim_bug(repeated_id services/liquidation/decide.c "I2,I3,V" 500
  [==[    pl_plan_id(&account->id, state->episode, state->revision, &plan_id);]==]
  [==[    pl_plan_id(&account->id, state->episode, 1, &plan_id);]==])

# ---- the position service ----

# T2: what was applied is not told again after an abort.
sim_bug(untold_positions services/position/position.c "I1,V" 2000
  [==[        err = pl_txn_abort(service->txn);]==]
  [==[        service->output_count = 0;
        err = pl_txn_abort(service->txn);]==])

sim_bug(event_twice lib/position/position.c "I1" 2000
  [==[        if (event->sequence <= source->sequence)]==]
  [==[        if (event->sequence < source->sequence)]==])

# ---- Redis ----

# I14: a mark that Redis could not take brings an entry early. Nothing is wrong with the entry, but the
# same seed without Redis has another history.
sim_bug(redis_matters ${LIQUIDATION} "I14" 400
  [==[        pl_cache_put_mark(service->cache, &service->venue.names->ids[news->instrument], mark);]==]
  [==[        if (!pl_cache_put_mark(service->cache, &service->venue.names->ids[news->instrument], mark))
            service->partitions[0].last_entry_mono_ms = 0;]==])

# What an account owes of an option is taken for what it would fetch.
sim_bug(option_sides lib/exposure/options.c "V,I4,I8" 500
  [==[lots < 0 ? values->high : values->low;]==]
  [==[lots < 0 ? values->low : values->low;]==])

# The worst scenario is the last bad one.
sim_bug(mild_scenario lib/exposure/options.c "V,I4,I8" 500
  [==[        if (-gain * weight > most) {]==]
  [==[        if (-gain * weight > 0) {]==])

# The underlying moves, and nobody looks at the holders of its options.
sim_bug(option_unseen lib/exposure/options.c "V,I4,I8,I11" 1000
  [==[        market->changed_mask |= (uint64_t)1 << (i % 64); /* G3 */]==]
  [==[]==])

# Options owed have no minimum.
sim_bug(no_minimum lib/exposure/options.c "V,I4,I8" 1000
  [==[    if (minimum > worst.charge) {]==]
  [==[    if (false) {]==])

# An underlying that is not there yet is taken to lose what it would lose if it were.
sim_bug(scenario_ends lib/exposure/options.c "V,I4,I8" 1000
  [==[    if (is_open && pl_grows_in_scenarios(market, portfolio, leg, tier, end)) {]==]
  [==[    if (false) {]==])

# ---- the brake ----

# What was sold is not taken from the window's budget.
sim_bug(brake_uncharged lib/exposure/brake.c "V" 1000
  [==[        left_lots[leg->instrument] -= leg->lots;]==]
  [==[        left_lots[leg->instrument] -= 0;]==])

# No instrument has a budget.
sim_bug(brake_ignored lib/exposure/brake.c "V" 1000
  [==[    if (instrument->depth_count == 0)]==]
  [==[    if (instrument->is_listed)]==])

# The budget of all partitions, in each.
sim_bug(brake_of_all lib/exposure/brake.c "V" 1000
  [==[(pl_i128)partition_count * quote->short_lot_vu);]==]
  [==[(pl_i128)quote->short_lot_vu);]==])

# Who has waited longest has to wait on.
sim_bug(brake_starves services/liquidation/decide.c "V" 2000
  [==[        return waits_a < waits_b ? -1 : 1;]==]
  [==[        return waits_a > waits_b ? -1 : 1;]==])

# What was used is forgotten when a partition changes hands; its record still counts in the digest.
sim_bug(brake_forgotten services/liquidation/apply.c "V,I6,I8,I12" 6000
  [==[        pl_book_set_budget(ledger->book, &budget, pl_wire_digest(record->key, record->value));]==]
  [==[        pl_book_set_budget(ledger->book, &(struct pl_budget){0}, pl_wire_digest(record->key, record->value));]==])

# A bankrupt account's debt is told while the brake still holds back what would pay part of it.
sim_bug(brake_bad_debt lib/exposure/decide.c "V" 4000
  [==[sale->is_bankrupt && !sale->is_braked &&]==]
  [==[sale->is_bankrupt &&]==])

# Nobody waits for a window: what the brake held back is asked for at once.
sim_bug(brake_pause lib/exposure/decide.c "V" 1000
  [==[        later(pl_brake_window(policy, market->now_ms), policy->brake_window_ms);]==]
  [==[        later(market->now_ms, 1);]==])

# ---- modes ----

# An account's mode is not looked at.
sim_bug(mode_ignored lib/exposure/modes.c "V,I4,I8" 1000
  [==[    if (portfolio->mode != 0) {]==]
  [==[    if (false) {]==])

# A debt that does not name the collateral is passed over.
sim_bug(mode_not_dropped lib/exposure/modes.c "V,I4,I8" 2000
  [==[    lent->is_barred |= is_certain && !weight;
    lent->may_be_barred |= !weight;]==]
  [==[    (void)0;]==])

# What is sold and repaid in thought changes the haircuts of what is left.
sim_bug(mode_not_pinned lib/exposure/book.c "V,I4,I6,I8" 4000
  [==[    pl_portfolio_pin(&portfolio);]==]
  [==[]==])

# A contract's mode is forgotten when it is called.
sim_bug(call_without_mode lib/exposure/call.c "V order" 2000
  [==[        pl_mode_weight_of(market->parameters, portfolio->mode, sale->instrument);]==]
  [==[        pl_mode_weight_of(market->parameters, 0, sale->instrument);]==])

# Nobody minds a mode that is not in the set.
sim_bug(mode_unknown lib/exposure/modes.c "V,I4,I8" 1000
  [==[    return mode == 0 || parameters->modes[mode].is_present;]==]
  [==[    return parameters != NULL;]==])

# A debt is bought back with cash that is not there, which ends what debts decide.
sim_bug(mode_borrows_cash lib/exposure/modes.c "V" 2000
  [==[    return is_lent ? pl_min(]==]
  [==[    return false ? pl_min(]==])

# The position service forgets the mode.
sim_bug(mode_forgotten lib/position/position.c "I1" 1000
  [==[    if (event->has_mode)]==]
  [==[    if (event->has_mode && event->mode != 1)]==])
