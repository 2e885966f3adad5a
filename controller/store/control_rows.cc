// The farm's own state: experiments, jobs, attempts, devices, resources, agents, artifacts,
// counters.
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include "controller/store/json_text.h"
#include "controller/store/rows.h"

namespace joulefarm::controller {
namespace {

void RaiseCounter(Session& session, const std::string& name, std::int64_t value) {
  session.Run(
      R"sql(
          INSERT INTO farm_counter (name, value) VALUES (?, ?)
          ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value))sql",
      name, value);
}

// The number at the end of "exp-12"; 0 when there is none.
std::int64_t TrailingNumber(const std::string& id) {
  std::size_t start = id.size();
  while (start > 0 && std::isdigit(static_cast<unsigned char>(id[start - 1])) != 0) --start;
  return start == id.size() ? 0 : std::strtoll(id.c_str() + start, nullptr, 10);
}

std::string KindOf(const v1::JobSpec& spec) {
  switch (spec.kind_case()) {
    case v1::JobSpec::kGenerate:
      return "generate";
    case v1::JobSpec::kCommand:
      return "command";
    case v1::JobSpec::kThroughput:
      return "throughput";
    case v1::JobSpec::KIND_NOT_SET:
      break;
  }
  return "";
}

void InsertJob(Session& session, const Job& job) {
  static const v1::JobSpec& no_spec = *new v1::JobSpec();
  const v1::JobSpec& spec = job.spec ? *job.spec : no_spec;
  const v1::ModelRef& model = spec.model();
  std::optional<std::int64_t> model_size;
  if (spec.has_model()) model_size = model.size_bytes();
  session.Run(
      R"sql(
          INSERT INTO job (number, id, experiment, cell, workload, kind, block, params, model,
          model_sha256, model_size_bytes, quant, repetitions, warmup, device_id, pinned,
          selector, priority, retries_left, lost_after_ns, state, failure_class, reason,
          attempts, live_fence, accepted_fence, submitted_wall_ns, started_wall_ns,
          finished_wall_ns, spec)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
          ?, ?, ?, ?))sql",
      job.number, job.id, job.experiment, spec.cell(), spec.workload(), TextOrNull{KindOf(spec)},
      spec.block(), JsonParams(spec), TextOrNull{model.name()}, TextOrNull{model.sha256()},
      model_size, TextOrNull{model.quant()}, spec.repetitions(), spec.warmup(),
      TextOrNull{job.device_id}, job.pinned, TextOrNull{job.selector}, job.priority,
      job.retries_left, job.lost_after_ns, job.state, job.failure_class, TextOrNull{job.reason},
      job.attempts, job.live_fence, job.accepted_fence, job.submitted_wall_ns, job.started_wall_ns,
      job.finished_wall_ns, Blob{spec.SerializeAsString()});
}

void WriteGranted(Session& session, Fence fence, const v1::GrantedResource& granted) {
  session.Run(
      R"sql(
          INSERT INTO attempt_resource (attempt, resource_id, agent_id, source, channel)
          VALUES (?, ?, ?, ?, ?) ON CONFLICT (attempt, resource_id) DO NOTHING)sql",
      fence, granted.resource_id(), granted.agent_id(), granted.source(),
      TextOrNull{granted.channel()});
}

void WriteHelper(Session& session, Fence fence, const Helper& helper) {
  session.Run(
      R"sql(
          INSERT INTO attempt_source (attempt, source, agent_id, state, released, reason)
          VALUES (?, ?, ?, ?, ?, ?)
          ON CONFLICT (attempt, source) DO UPDATE SET state = excluded.state,
          released = excluded.released, reason = excluded.reason)sql",
      fence, helper.source, helper.agent_id, helper.state, helper.released,
      TextOrNull{helper.reason});
}

// Above what ingestion uses for the streams it breaks off.
constexpr std::int64_t kReasonIndex = 100;

}  // namespace

void WriteRow(Session& session, const Experiment& experiment) {
  const std::int64_t number = TrailingNumber(experiment.id);
  session.Run(
      R"sql(
          INSERT INTO experiment (number, id, name, tenant, request_id, sha256, seed,
          submitted_wall_ns, text, overrides)
          VALUES (nullif(?, 0), ?, ?, ?, ?, ?, ?, ?, ?, ?)
          ON CONFLICT (id) DO UPDATE SET name = excluded.name, tenant = excluded.tenant,
          request_id = excluded.request_id, sha256 = excluded.sha256, seed = excluded.seed,
          submitted_wall_ns = excluded.submitted_wall_ns, text = excluded.text,
          overrides = excluded.overrides)sql",
      number, experiment.id, experiment.name, experiment.tenant, TextOrNull{experiment.request_id},
      experiment.sha256, experiment.seed, experiment.submitted_wall_ns, experiment.text,
      TextOrNull{experiment.overrides});
  RaiseCounter(session, "experiment", number);
}

void WriteRow(Session& session, const Job& job) {
  // The spec never changes, and terminal jobs are held without it: only a new row has one to write.
  const int changed = session.Run(
      R"sql(
          UPDATE job SET device_id = ?, pinned = ?, selector = ?, priority = ?, retries_left =
          ?, lost_after_ns = ?, state = ?, failure_class = ?, reason = ?, attempts = ?,
          live_fence = ?, accepted_fence = ?, started_wall_ns = ?, finished_wall_ns = ?
          WHERE id = ?)sql",
      TextOrNull{job.device_id}, job.pinned, TextOrNull{job.selector}, job.priority,
      job.retries_left, job.lost_after_ns, job.state, job.failure_class, TextOrNull{job.reason},
      job.attempts, job.live_fence, job.accepted_fence, job.started_wall_ns, job.finished_wall_ns,
      job.id);
  if (changed > 0) return;
  InsertJob(session, job);
  RaiseCounter(session, "job", job.number);
}

void WriteRow(Session& session, const Attempt& attempt) {
  // Columns that frames fill (engine, outcome, …) are left alone.
  session.Run(
      R"sql(
          INSERT INTO attempt (fence, job_id, device_id, agent_id, state, link, detail,
          failure_class, reason, offered_wall_ns, ended_wall_ns)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
          ON CONFLICT (fence) DO UPDATE SET device_id = excluded.device_id, agent_id =
          excluded.agent_id, state = excluded.state, link = excluded.link, detail =
          excluded.detail, failure_class = excluded.failure_class, reason = excluded.reason,
          ended_wall_ns = excluded.ended_wall_ns)sql",
      attempt.fence, attempt.job_id, attempt.device_id, attempt.agent_id, attempt.state,
      attempt.link, TextOrNull{attempt.detail}, attempt.failure_class, TextOrNull{attempt.reason},
      attempt.offered_wall_ns, attempt.ended_wall_ns);
  RaiseCounter(session, "fence", attempt.fence);
  for (const v1::GrantedResource& granted : attempt.resources)
    WriteGranted(session, attempt.fence, granted);
  for (const Helper& helper : attempt.helpers) WriteHelper(session, attempt.fence, helper);
}

void WriteRow(Session& session, const AttemptReason& reason) {
  // No frame's sequence number; its index tells the sources apart, and the codes.
  const Place place{reason.fence, reason.source, 0};
  const std::int64_t index = kReasonIndex + (reason.reason.code() == "meter_lost" ? 0 : 1);
  session.Run("DELETE FROM event WHERE attempt = ? AND source = ? AND seq = 0 AND idx = ?",
              place.fence, place.source, index);
  v1::Event event;
  *event.mutable_reason() = reason.reason;
  WriteEvent(session, place, index, event);
}

void WriteRow(Session& session, const Device& device) {
  std::optional<std::string> meter;
  if (device.meter) meter = JsonMessage(*device.meter);
  session.Run(
      R"sql(
          INSERT OR REPLACE INTO device (id, agent_id, kind, link, alloc, admin, health,
          gate_reason, fence, labels, facts, meter, port, health_reason, failed_job,
          health_check)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?))sql",
      device.id, device.agent_id, device.facts.kind(), device.link, device.alloc, device.admin,
      device.health, TextOrNull{device.gate_reason}, device.fence, JsonObject(device.labels),
      JsonMessage(device.facts), meter, TextOrNull{device.port}, TextOrNull{device.health_reason},
      TextOrNull{device.failed_job}, TextOrNull{device.health_check});
}

void WriteRow(Session& session, const Resource& resource) {
  session.Run(
      R"sql(
          INSERT OR REPLACE INTO resource (id, agent_id, kind, link, alloc, admin, health,
          gate_reason, fence, labels, model, serial, place, channels, obstacle)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?))sql",
      resource.id, resource.agent_id, resource.kind, resource.link, resource.alloc, resource.admin,
      resource.health, TextOrNull{resource.gate_reason}, resource.fence,
      JsonObject(resource.labels), TextOrNull{resource.model}, resource.serial,
      TextOrNull{resource.place}, JsonMessages(resource.channels), TextOrNull{resource.obstacle});
}

void WriteRow(Session& session, const Agent& agent) {
  session.Run(
      R"sql(
          INSERT OR REPLACE INTO agent (id, link, version, boot_id, instance, session_epoch,
          last_seen_wall_ns)
          VALUES (?, ?, ?, ?, ?, ?, ?))sql",
      agent.id, agent.link, TextOrNull{agent.version}, TextOrNull{agent.boot_id},
      TextOrNull{agent.instance}, agent.session_epoch, agent.last_seen_wall_ns);
}

void WriteRow(Session& session, const FarmEvent& event) {
  session.Run("INSERT INTO farm_event (t_wall_ns, kind, subject, text) VALUES (?, ?, ?, ?)",
              event.t_wall_ns, event.kind, event.subject, event.text);
}

void WriteRow(Session& session, const Artifact& artifact) {
  // Replacing gives a new id: pushing an old content again makes it the newest of its name.
  session.Run(
      R"sql(
          INSERT OR REPLACE INTO artifact (name, sha256, size_bytes, format, architecture,
          quant, parameters, context_length, pushed_wall_ns)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?))sql",
      artifact.name, artifact.sha256, artifact.size_bytes, artifact.format, artifact.architecture,
      artifact.quant, artifact.parameters, artifact.context_length, artifact.pushed_wall_ns);
}

void WriteRow(Session& session, const EpochTaken& taken) {
  RaiseCounter(session, "epoch", taken.epoch);
}

void WriteRow(Session& session, const FenceBumped& bumped) {
  RaiseCounter(session, "fence", bumped.fence);
}

}  // namespace joulefarm::controller
