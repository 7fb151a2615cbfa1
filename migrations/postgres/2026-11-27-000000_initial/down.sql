DROP MATERIALIZED VIEW pending_timers_by_hour, campaign_counts;
DROP VIEW operator_actions;
DROP TABLE counted_hours, fired_timers_by_hour, transitions_by_hour;
DROP TABLE leases, instances, dead_letters, inbox, timers, campaigns, journal_head, journal;
DROP FUNCTION lifecycle_count_hour(timestamptz);
DROP FUNCTION lifecycle_open_hours();
DROP FUNCTION lifecycle_make_partitions(timestamptz, integer);
DROP FUNCTION lifecycle_hold_due(bigint);
DROP FUNCTION lifecycle_now();
