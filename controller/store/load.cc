#include "controller/store/load.h"

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "controller/store/ingest.h"
#include "controller/store/json_text.h"

namespace joulefarm::controller {
namespace {

std::int64_t ReadCounter(Session& session, const std::string& name) {
  Rows rows = session.Query("SELECT value FROM farm_counter WHERE name = ?", name);
  return rows.Next() ? rows.Int(0) : 0;
}

std::vector<Experiment> LoadExperiments(Session& session,
                                        std::map<std::string, std::size_t>& place) {
  std::vector<Experiment> experiments;
  Rows rows = session.Query(
      R"sql(
          SELECT id, name, tenant, request_id, sha256, text, seed, submitted_wall_ns, overrides
          FROM experiment ORDER BY number)sql");
  while (rows.Next()) {
    Experiment& experiment = experiments.emplace_back();
    experiment.id = rows.Text(0);
    experiment.name = rows.Text(1);
    experiment.tenant = rows.Text(2);
    experiment.request_id = rows.Text(3);
    experiment.sha256 = rows.Text(4);
    experiment.text = rows.Text(5);
    experiment.seed = rows.Int(6);
    experiment.submitted_wall_ns = rows.Int(7);
    experiment.overrides = rows.Text(8);
    place[experiment.id] = experiments.size() - 1;
  }
  return experiments;
}

std::vector<Job> LoadJobs(Session& session) {
  std::vector<Job> jobs;
  Rows rows = session.Query(
      R"sql(
          SELECT number, id, experiment, device_id, pinned, selector, priority, retries_left,
          lost_after_ns, state, failure_class, reason, attempts, live_fence, accepted_fence,
          submitted_wall_ns, started_wall_ns, finished_wall_ns, CASE WHEN state NOT IN
          ('SUCCEEDED', 'FAILED', 'CANCELED', 'EXPIRED') THEN spec END
          FROM job ORDER BY number)sql");
  while (rows.Next()) {
    Job& job = jobs.emplace_back();
    job.number = rows.Int(0);
    job.id = rows.Text(1);
    job.experiment = rows.Text(2);
    job.device_id = rows.Text(3);
    job.pinned = rows.Int(4) != 0;
    job.selector = rows.Text(5);
    job.priority = rows.Int32(6);
    job.retries_left = rows.Int32(7);
    job.lost_after_ns = rows.Int(8);
    job.state = rows.Enum<v1::JobState>(9);
    job.failure_class = rows.Enum<v1::FailureClass>(10);
    job.reason = rows.Text(11);
    job.attempts = rows.Int32(12);
    job.live_fence = rows.MaybeInt(13);
    job.accepted_fence = rows.MaybeInt(14);
    job.submitted_wall_ns = rows.Int(15);
    job.started_wall_ns = rows.MaybeInt(16);
    job.finished_wall_ns = rows.MaybeInt(17);
    if (!rows.IsNull(18)) {
      auto spec = std::make_shared<v1::JobSpec>();
      spec->ParseFromString(rows.Text(18));
      job.spec = std::move(spec);
    }
  }
  return jobs;
}

std::vector<Attempt> LoadAttempts(Session& session) {
  std::vector<Attempt> attempts;
  // Both halves by their partial indexes: history does not slow a start down.
  Rows rows = session.Query(
      R"sql(
          SELECT fence, job_id, device_id, agent_id, state, link, detail, failure_class, reason,
          offered_wall_ns, ended_wall_ns
          FROM attempt WHERE fence IN (
            SELECT fence FROM attempt
            WHERE state NOT IN ('SUCCEEDED', 'FAILED', 'TIMED_OUT', 'CANCELED', 'REJECTED',
                                'INTERRUPTED', 'LOST')
            UNION
            SELECT a.fence FROM job JOIN attempt AS a ON a.job_id = job.id
            WHERE job.state NOT IN ('SUCCEEDED', 'FAILED', 'CANCELED', 'EXPIRED'))
          ORDER BY fence)sql");
  while (rows.Next()) {
    Attempt& attempt = attempts.emplace_back();
    attempt.fence = rows.Int(0);
    attempt.job_id = rows.Text(1);
    attempt.device_id = rows.Text(2);
    attempt.agent_id = rows.Text(3);
    attempt.state = rows.Enum<v1::AttemptState>(4);
    attempt.link = rows.Enum<v1::DeviceLink>(5);
    attempt.detail = rows.Text(6);
    attempt.failure_class = rows.Enum<v1::FailureClass>(7);
    attempt.reason = rows.Text(8);
    attempt.offered_wall_ns = rows.Int(9);
    attempt.ended_wall_ns = rows.MaybeInt(10);
  }
  return attempts;
}

// Of the attempts that are loaded.
void LoadSources(Session& session, std::vector<Attempt>& attempts) {
  for (Attempt& attempt : attempts) {
    Rows granted = session.Query(
        R"sql(
          SELECT resource_id, agent_id, source, channel FROM attempt_resource
          WHERE attempt = ? ORDER BY source, resource_id)sql",
        attempt.fence);
    while (granted.Next()) {
      v1::GrantedResource& resource = attempt.resources.emplace_back();
      resource.set_resource_id(granted.Text(0));
      resource.set_agent_id(granted.Text(1));
      resource.set_source(granted.Int32(2));
      resource.set_channel(granted.Text(3));
    }
    Rows sources = session.Query(
        R"sql(
          SELECT source, agent_id, state, released, reason FROM attempt_source
          WHERE attempt = ? ORDER BY source)sql",
        attempt.fence);
    while (sources.Next()) {
      Helper& helper = attempt.helpers.emplace_back();
      helper.source = sources.Int32(0);
      helper.agent_id = sources.Text(1);
      helper.state = sources.Enum<v1::AttemptState>(2);
      helper.released = sources.Int(3) != 0;
      helper.reason = sources.Text(4);
    }
  }
}

std::vector<Device> LoadDevices(Session& session) {
  std::vector<Device> devices;
  Rows rows = session.Query(
      R"sql(
          SELECT id, agent_id, link, alloc, admin, health, gate_reason, fence, labels, facts,
          meter, port, health_reason, failed_job, health_check
          FROM device ORDER BY id)sql");
  while (rows.Next()) {
    Device& device = devices.emplace_back();
    device.id = rows.Text(0);
    device.agent_id = rows.Text(1);
    device.link = rows.Enum<v1::DeviceLink>(2);
    device.alloc = rows.Enum<v1::DeviceAlloc>(3);
    device.admin = rows.Enum<v1::DeviceAdmin>(4);
    device.health = rows.Enum<v1::DeviceHealth>(5);
    device.gate_reason = rows.Text(6);
    device.fence = rows.MaybeInt(7);
    // Written by this program, and announced again by the agent: what does not parse is left empty.
    ParseJsonObject(rows.Text(8), device.labels);
    ParseJsonMessage(rows.Text(9), device.facts);
    if (!rows.IsNull(10)) ParseJsonMessage(rows.Text(10), device.meter.emplace());
    device.port = rows.Text(11);
    device.health_reason = rows.Text(12);
    device.failed_job = rows.Text(13);
    device.health_check = rows.Text(14);
  }
  return devices;
}

std::vector<Resource> LoadResources(Session& session) {
  std::vector<Resource> resources;
  Rows rows = session.Query(
      R"sql(
          SELECT id, agent_id, kind, link, alloc, admin, health, gate_reason, fence, labels, model,
          serial, place, channels, obstacle
          FROM resource ORDER BY id)sql");
  while (rows.Next()) {
    Resource& resource = resources.emplace_back();
    resource.id = rows.Text(0);
    resource.agent_id = rows.Text(1);
    resource.kind = rows.Enum<v1::ResourceKind>(2);
    resource.link = rows.Enum<v1::DeviceLink>(3);
    resource.alloc = rows.Enum<v1::DeviceAlloc>(4);
    resource.admin = rows.Enum<v1::DeviceAdmin>(5);
    resource.health = rows.Enum<v1::DeviceHealth>(6);
    resource.gate_reason = rows.Text(7);
    resource.fence = rows.MaybeInt(8);
    ParseJsonObject(rows.Text(9), resource.labels);
    resource.model = rows.Text(10);
    if (!rows.IsNull(11)) resource.serial = rows.Text(11);
    resource.place = rows.Text(12);
    ParseJsonChannels(rows.Text(13), resource.channels);
    resource.obstacle = rows.Text(14);
  }
  return resources;
}

std::vector<Agent> LoadAgents(Session& session) {
  std::vector<Agent> agents;
  Rows rows = session.Query(
      R"sql(
          SELECT id, boot_id, instance, version, link, session_epoch, last_seen_wall_ns
          FROM agent ORDER BY id)sql");
  while (rows.Next()) {
    Agent& agent = agents.emplace_back();
    agent.id = rows.Text(0);
    agent.boot_id = rows.Text(1);
    agent.instance = rows.Text(2);
    agent.version = rows.Text(3);
    agent.link = rows.Enum<v1::DeviceLink>(4);
    agent.session_epoch = rows.Int(5);
    agent.last_seen_wall_ns = rows.Int(6);
  }
  return agents;
}

}  // namespace

FarmSnapshot LoadFarm(Session& session) {
  FarmSnapshot farm;
  farm.last_fence = ReadCounter(session, "fence");
  farm.last_experiment = ReadCounter(session, "experiment");
  farm.last_job = ReadCounter(session, "job");
  farm.last_epoch = ReadCounter(session, "epoch");
  std::map<std::string, std::size_t> place;
  farm.experiments = LoadExperiments(session, place);
  farm.jobs = LoadJobs(session);
  for (const Job& job : farm.jobs) {
    farm.experiments[place.at(job.experiment)].job_ids.push_back(job.id);
  }
  farm.attempts = LoadAttempts(session);
  LoadSources(session, farm.attempts);
  farm.devices = LoadDevices(session);
  farm.resources = LoadResources(session);
  farm.agents = LoadAgents(session);
  farm.finals = ReadFinals(session);
  return farm;
}

std::vector<SourceFinal> ReadFinals(Session& session) {
  std::vector<SourceFinal> finals;
  {
    Rows rows = session.Query(
        R"sql(
          SELECT c.attempt, c.source
          FROM job JOIN attempt ON attempt.fence = job.live_fence JOIN stream_cursor AS c ON
          c.attempt = attempt.fence AND c.stream = 'final' AND c.closed = 1
          WHERE job.state NOT IN ('SUCCEEDED', 'FAILED', 'CANCELED', 'EXPIRED') AND
          attempt.finalised = 0 ORDER BY c.attempt, c.source)sql");
    while (rows.Next()) finals.push_back({.fence = rows.Int(0), .source = rows.Int32(1)});
  }
  for (SourceFinal& final : finals) {
    if (const auto said = ReadFinal(session, final.fence, final.source)) {
      final.outcome = said->outcome();
      final.reason = said->reason();
    }
  }
  return finals;
}

std::vector<Fence> ReadUnfinalised(Session& session) {
  std::vector<Fence> fences;
  // Of every source: granted ones that the controller has closed are not waited for.
  Rows rows = session.Query(
      R"sql(
          SELECT attempt.fence
          FROM job JOIN attempt ON attempt.fence = job.live_fence JOIN stream_cursor AS c ON
          c.attempt = attempt.fence AND c.source = 0 AND c.stream = 'final' AND c.closed = 1
          WHERE job.state NOT IN ('SUCCEEDED', 'FAILED', 'CANCELED', 'EXPIRED') AND
          attempt.finalised = 0 AND NOT EXISTS (
            SELECT 1 FROM attempt_source AS s
            WHERE s.attempt = attempt.fence AND s.state != 'LOST' AND NOT EXISTS (
              SELECT 1 FROM stream_cursor AS f WHERE f.attempt = s.attempt AND
              f.source = s.source AND f.stream = 'final' AND f.closed = 1))
          ORDER BY attempt.fence)sql");
  while (rows.Next()) fences.push_back(rows.Int(0));
  return fences;
}

std::vector<v1::StreamCursor> ReadCursors(Session& session, Fence fence) {
  std::vector<v1::StreamCursor> cursors;
  Rows rows = session.Query(
      R"sql(
          SELECT source, stream, last_seq FROM stream_cursor
          WHERE attempt = ? ORDER BY source, stream)sql",
      fence);
  while (rows.Next()) {
    v1::StreamCursor& cursor = cursors.emplace_back();
    cursor.set_fence(fence);
    cursor.set_source(rows.Int32(0));
    cursor.set_stream(rows.Enum<v1::Stream>(1));
    cursor.set_last_seq(rows.Int(2));
  }
  return cursors;
}

}  // namespace joulefarm::controller
