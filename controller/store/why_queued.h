// Why a queued job waits, as an SQL expression over a row of `job`: what its device does or lacks
// just now. It is not stored with the jobs: all of a queue would have to be written whenever their
// device changes.
//
// Thread rule: a constant. Ownership: none.
#pragma once

namespace joulefarm::controller {

// What the farm itself says of a job counts while its device is free (it is about what the job
// needs beside the device), and why it is tried again always. NULL: nothing keeps it.
inline constexpr char kWhyQueued[] = R"sql(coalesce(
    (SELECT iif(job.failure_class IS NULL, '', coalesce(job.reason || '; ', '')) ||
        'device ' || job.device_id || ' ' || why
      FROM (SELECT
          CASE
            WHEN device.link = 'OFFLINE' AND agent.link = 'ONLINE'
              THEN 'is no longer announced by its agent ' || device.agent_id
            WHEN device.link = 'OFFLINE'
              THEN 'is offline: its agent ' || device.agent_id || ' is out of reach'
            WHEN device.link <> 'ONLINE'
              THEN 'is just out of sight with its agent ' || device.agent_id
            WHEN device.admin <> 'ENABLED' THEN 'takes no jobs: it is ' || device.admin
            WHEN device.health = 'QUARANTINED'
              THEN 'takes no jobs: it is QUARANTINED' || coalesce(', ' || device.health_reason, '')
            WHEN device.alloc = 'DIRTY'
              THEN 'may still be at work: its agent ' || device.agent_id ||
                ' has not said that it is clean'
            WHEN device.alloc <> 'FREE'
              THEN 'is at work on ' ||
                coalesce((SELECT job_id FROM attempt WHERE fence = device.fence), 'another job') ||
                coalesce(', ' || device.gate_reason, '')
            WHEN job.failure_class IS NULL AND job.reason IS NOT NULL THEN NULL
            ELSE device.gate_reason
          END AS why
        FROM device LEFT JOIN agent ON agent.id = device.agent_id WHERE device.id = job.device_id)),
    job.reason))sql";

}  // namespace joulefarm::controller
