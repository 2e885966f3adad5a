#include "tests/sim/sim_controller.h"

#include <algorithm>
#include <utility>

#include "tests/sim/sim_agent.h"

namespace joulefarm::sim {

using controller::AgentGone;
using controller::AgentHello;
using controller::Fence;

namespace {

constexpr std::int64_t kShortestDelay = kMs / 5;
constexpr std::int64_t kLongestDelay = 50 * kMs;

std::int64_t Later(World& world, std::int64_t& last) {
  last = std::max(last, world.now() + world.Between(kShortestDelay, kLongestDelay));
  return last - world.now();
}

}  // namespace

void SimController::Start() {
  auto snapshot = store_.Load();
  if (!snapshot.ok()) {
    world_.After(kSecond, [this] { Start(); });
    return;
  }
  ++restarts_;
  Adopt(*std::move(snapshot));
}

void SimController::Adopt(controller::FarmSnapshot snapshot) {
  ++life_;
  farm_ = std::make_unique<controller::Farm>(controller::FarmConfig{.instance = "sim"},
                                             std::move(snapshot), Now());
  Carry(farm_->TakeRecoveryPlan());
  if (farm_ != nullptr) Arm();
}

void SimController::Crash() {
  ++life_;
  farm_.reset();
  CutAll();
  world_.After(world_.Between(100 * kMs, 90 * kSecond), [this] {
    if (farm_ == nullptr) Start();
  });
}

void SimController::GoReadOnly() {
  ++life_;
  ++read_only_spells_;
  farm_.reset();
  CutAll();
  world_.After(kSecond, [this] {
    if (farm_ != nullptr) return;
    if (disk_full_) {
      GoReadOnly();
    } else {
      Start();
    }
  });
}

void SimController::CutAll() {
  const auto links = links_;
  for (const auto& [session, link] : links)
    Cut(link, absl::UnavailableError("the controller is gone"));
  links_.clear();
  epochs_.clear();
}

void SimController::Cut(const std::shared_ptr<Link>& link, const absl::Status& status) {
  if (!link->up) return;
  link->up = false;
  SimAgent* agent = link->agent;
  world_.After(world_.Between(kShortestDelay, 5 * kSecond),
               [agent, link, status] { agent->OnLinkLost(link, status); });
  world_.After(world_.Between(kShortestDelay, 40 * kSecond), [this, link, life = life_] {
    if (life == life_) Handle(AgentGone{link->session});
  });
}

void SimController::Handle(const controller::FarmInput& input) {
  if (farm_ == nullptr) return;
  Carry(farm_->Handle(input, Now()));
  if (farm_ != nullptr) Arm();
}

void SimController::Carry(controller::Plan plan) {
  if (!plan.writes.empty() && (disk_full_ || !store_.Commit(plan.writes).ok())) {
    GoReadOnly();
    return;
  }
  if (!plan.writes.empty() && world_.Chance(crash_after_commit_)) {
    Crash();
    return;
  }
  for (const controller::Effect& effect : plan.effects) Do(effect);
}

void SimController::Do(const controller::Effect& effect) {
  if (const auto* send = std::get_if<controller::SendToAgent>(&effect)) {
    const auto it = links_.find(send->session);
    if (it == links_.end()) return;
    ToAgent(it->second, [link = it->second, message = send->message] {
      link->agent->FromController(link, message);
    });
  } else if (const auto* close = std::get_if<controller::CloseSession>(&effect)) {
    const auto it = links_.find(close->session);
    if (it != links_.end()) Cut(it->second, close->status);
  } else if (const auto* opened = std::get_if<controller::SessionOpened>(&effect)) {
    epochs_[opened->session] = opened->epoch;
  } else if (const auto* compute = std::get_if<controller::ComputeResults>(&effect)) {
    Finalise(compute->fence);
  }
}

void SimController::ToAgent(const std::shared_ptr<Link>& link, std::function<void()> deliver) {
  world_.After(Later(world_, link->last_to_agent), [link, deliver = std::move(deliver)] {
    if (link->up) deliver();
  });
}

void SimController::Arm() {
  const auto in = farm_->NextTickIn(Now());
  const std::int64_t mine = ++tick_;
  if (!in.has_value()) return;
  world_.After(*in, [this, mine, life = life_] {
    if (life == life_ && mine == tick_) Handle(controller::Tick{});
  });
}

void SimController::Finalise(Fence fence) {
  world_.After(world_.Between(kMs, 500 * kMs), [this, fence, life = life_] {
    if (life != life_ || farm_ == nullptr) return;
    const auto data = store_.ReadAttempt(fence);
    if (!data.ok()) return;
    controller::AttemptFinalised done;
    done.final = data->final;
    done.results.fence = fence;
    Handle(done);
  });
}

std::shared_ptr<Link> SimController::Dial(SimAgent& agent) {
  if (farm_ == nullptr) return nullptr;
  auto link = std::make_shared<Link>();
  link->agent = &agent;
  link->session = ++last_session_;
  link->last_to_agent = link->last_to_controller = link->last_upload = world_.now();
  links_[link->session] = link;
  return link;
}

void SimController::FromAgent(const std::shared_ptr<Link>& link, v1::AgentMessage message) {
  world_.After(Later(world_, link->last_to_controller),
               [this, link, life = life_, message = std::move(message)] {
                 if (!link->up || life != life_ || farm_ == nullptr) return;
                 if (message.has_hello()) {
                   AgentHello hello{link->session, message.hello(), {}};
                   for (const v1::HeldAttempt& held : message.hello().held()) {
                     const auto cursors = store_.Cursors(held.fence());
                     if (cursors.ok())
                       hello.cursors.insert(hello.cursors.end(), cursors->begin(), cursors->end());
                   }
                   Handle(hello);
                   return;
                 }
                 controller::AgentAlive alive{link->session, std::nullopt};
                 if (message.has_heartbeat()) alive.heartbeat_seq = message.heartbeat().seq();
                 Handle(alive);
                 if (message.has_grant_reply())
                   Handle(controller::GrantReplied{link->session, message.grant_reply()});
                 if (message.has_attempt_report())
                   Handle(controller::AttemptReported{link->session, message.attempt_report()});
                 if (message.has_device_report())
                   Handle(controller::DeviceReported{link->session, message.device_report()});
                 if (message.has_resource_report())
                   Handle(controller::ResourceReported{link->session, message.resource_report()});
               });
}

void SimController::Upload(const std::shared_ptr<Link>& link, std::int64_t epoch,
                           std::vector<v1::Frame> frames) {
  world_.After(Later(world_, link->last_upload), [this, link, epoch, life = life_,
                                                  frames = std::move(frames)] {
    if (!link->up || life != life_ || farm_ == nullptr || epochs_[link->session] != epoch) return;
    if (disk_full_) {
      Cut(link, absl::UnavailableError("disk full"));
      return;
    }
    const auto outcome = store_.Ingest(frames);
    if (!outcome.ok()) {
      Cut(link, absl::UnavailableError("cannot write"));
      return;
    }
    // The process may die between the commit and the acknowledgement.
    if (world_.Chance(crash_after_commit_)) {
      Crash();
      return;
    }
    for (const controller::SourceFinal& final : outcome->finals)
      Handle(controller::FinalStored{final});
    ToAgent(link, [link, response = outcome->response] {
      link->agent->OnUploadResponse(link, response);
    });
  });
}

}  // namespace joulefarm::sim
