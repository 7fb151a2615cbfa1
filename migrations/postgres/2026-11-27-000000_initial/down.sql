DROP MATERIALIZED VIEW transitions_by_hour, fired_timers_by_hour, pending_timers_by_hour, campaign_counts;
DROP VIEW operator_actions;
DROP TABLE leases, instances, dead_letters, inbox, timers, campaigns, journal_head, journal;
DROP FUNCTION lifecycle_make_partitions(timestamptz, integer);
DROP FUNCTION lifecycle_now();
