#include "agent/rpc/controller_link.h"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <future>
#include <thread>

#include "common/sha256/sha256.h"
#include "tests/agent/rpc/fake_controller.h"
#include "tests/agent/spool/spool_fixture.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

namespace asio = boost::asio;

// A link on an executor of its own, with what it told kept.
class LinkUnderTest {
 public:
  LinkUnderTest(const std::string& target, const std::filesystem::path& dir) {
    SpoolOptions options = TestSpoolOptions(dir);
    options.listener.committed = [this] { Do([this] { link_->FramesCommitted(); }); };
    spool = OpenSpool(std::move(options));
    link_ = std::make_unique<ControllerLink>(
        LinkOptions{.target = target, .agent_id = "a"}, spool.get(),
        [this](std::function<void()> work) { asio::post(io_, std::move(work)); },
        LinkHandlers{
            .received =
                [this](Connection, v1::ControllerMessage message, std::int64_t arrived_ns) {
                  EXPECT_GT(arrived_ns, 0);
                  received_.Put(std::move(message));
                },
            .lost = [this](Connection, Rpc, absl::Status status) { lost_.Put(std::move(status)); },
            .refused = [](Fence, v1::Stream, const std::string&) {},
            .missing = [](Fence, const std::string&) {},
            .trouble = [](const absl::Status& status) { ADD_FAILURE() << status; }});
    thread_ = std::thread([this] { io_.run(); });
  }
  ~LinkUnderTest() {
    std::promise<void> done;
    Do([&] { link_->Shutdown([&] { done.set_value(); }); });
    EXPECT_EQ(done.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready)
        << "a call was left unfinished";
    io_.stop();
    thread_.join();
  }

  void Do(std::function<void()> work) { asio::post(io_, std::move(work)); }
  void Connect(Connection connection, v1::Hello hello = {}) {
    Do([=, this] { link_->Connect(connection, hello); });
  }
  void Disconnect(Connection connection) {
    Do([=, this] { link_->Disconnect(connection); });
  }
  void Send(Connection connection, v1::AgentMessage message) {
    Do([=, this] { link_->Send(connection, message); });
  }
  void OpenUpload(Connection connection, std::int64_t epoch,
                  std::vector<v1::StreamCursor> cursors = {}) {
    Do([=, this] { link_->OpenUpload(connection, epoch, cursors); });
  }
  v1::ControllerMessage Received() { return received_.Take(); }
  absl::Status Lost() { return lost_.Take(); }
  ArtifactSource& artifacts() { return link_->artifacts(); }

  std::unique_ptr<Spool> spool;

 private:
  template <typename T>
  class Box {
   public:
    void Put(T value) {
      const std::lock_guard lock(mutex_);
      values_.push_back(std::move(value));
      changed_.notify_all();
    }
    T Take() {
      std::unique_lock lock(mutex_);
      EXPECT_TRUE(
          changed_.wait_for(lock, std::chrono::seconds(60), [&] { return !values_.empty(); }));
      if (values_.empty()) return T();
      T value = std::move(values_.front());
      values_.pop_front();
      return value;
    }

   private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<T> values_;
  };

  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  Box<v1::ControllerMessage> received_;
  Box<absl::Status> lost_;
  std::unique_ptr<ControllerLink> link_;
  std::thread thread_;
};

v1::Hello HelloOf(const std::string& instance) {
  v1::Hello hello;
  hello.set_agent_id("a");
  hello.set_instance(instance);
  return hello;
}

TEST(ControllerLinkTest, HelloGoesOutAndWelcomeComesIn) {
  FakeController controller;
  const TempDir dir;
  LinkUnderTest link(controller.address(), dir.path());
  link.Connect(1, HelloOf("i"));
  EXPECT_EQ(controller.Greet().instance(), "i");
  EXPECT_EQ(link.Received().welcome().session_epoch(), 1);
}

TEST(ControllerLinkTest, ManyMessagesKeepTheirOrder) {
  FakeController controller;
  const TempDir dir;
  LinkUnderTest link(controller.address(), dir.path());
  link.Connect(1);
  controller.Greet();
  for (int seq = 1; seq <= 1000; ++seq) {
    v1::AgentMessage message;
    message.mutable_heartbeat()->set_seq(seq);
    link.Send(1, message);
  }
  for (int seq = 1; seq <= 1000; ++seq) {
    ASSERT_EQ(controller.Next([](const auto& m) { return m.has_heartbeat(); }).heartbeat().seq(),
              seq);
  }
}

TEST(ControllerLinkTest, NobodyThereIsToldAsUnavailable) {
  int port = 0;
  {
    const FakeController gone;
    port = gone.port();
  }
  const TempDir dir;
  LinkUnderTest link(absl::StrCat("127.0.0.1:", port), dir.path());
  link.Connect(1);
  EXPECT_TRUE(absl::IsUnavailable(link.Lost()));
}

TEST(ControllerLinkTest, StatusOfTheControllerComesThrough) {
  FakeController controller;
  const TempDir dir;
  LinkUnderTest link(controller.address(), dir.path());
  link.Connect(1);
  controller.Greet();
  controller.Drop(grpc::Status(grpc::StatusCode::ABORTED, "a newer session"));
  const absl::Status status = link.Lost();
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_EQ(status.message(), "a newer session");
}

TEST(ControllerLinkTest, DisconnectIsSilentAndTheNextConnectionWorks) {
  FakeController controller;
  const TempDir dir;
  LinkUnderTest link(controller.address(), dir.path());
  for (Connection connection = 1; connection <= 20; ++connection) {
    link.Connect(connection, HelloOf(absl::StrCat(connection)));
    EXPECT_EQ(controller.NextHello().instance(), absl::StrCat(connection));
    link.OpenUpload(connection, connection);
    link.Disconnect(connection);
  }
  link.Connect(99, HelloOf("last"));
  EXPECT_EQ(controller.Greet().instance(), "last");
  EXPECT_TRUE(link.Received().has_welcome());
}

TEST(ControllerLinkTest, FramesAreUploadedAcknowledgedAndPruned) {
  FakeController controller;
  const TempDir dir;
  LinkUnderTest link(controller.address(), dir.path());
  ASSERT_TRUE(link.spool->PersistGrant(MakeGrant(1)).ok());
  link.Connect(1);
  controller.Greet();
  link.OpenUpload(1, 1);
  for (int seq = 1; seq <= 200; ++seq) link.spool->Append(EventFrame(1, seq, 20'000));
  ASSERT_TRUE(link.spool->Finish(FinalFrame(1)).ok());
  controller.AwaitFinal(1);
  const auto frames = controller.Frames(1, v1::STREAM_EVENT);
  ASSERT_EQ(frames.size(), 200u);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    EXPECT_EQ(frames[i].SerializeAsString(),
              EventFrame(1, static_cast<int>(i) + 1, 20'000).SerializeAsString());
  }
  while (link.spool->stored_bytes() > 0) std::this_thread::yield();
}

TEST(ControllerLinkTest, ReconnectSendsTheRestAndNothingIsDoubled) {
  FakeController controller;
  const TempDir dir;
  LinkUnderTest link(controller.address(), dir.path());
  ASSERT_TRUE(link.spool->PersistGrant(MakeGrant(1)).ok());
  controller.SetAcks(FakeController::Acks::kWithheld);
  link.Connect(1);
  controller.Greet();
  link.OpenUpload(1, 1);
  for (int seq = 1; seq <= 100; ++seq) link.spool->Append(EventFrame(1, seq, 20'000));
  controller.AwaitFrames(1, v1::STREAM_EVENT,
                         40);  // the window is full: no more without an acknowledgement
  controller.Drop(grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone"));
  EXPECT_TRUE(absl::IsUnavailable(link.Lost()));
  controller.SetAcks(FakeController::Acks::kGiven);
  link.Connect(2);
  controller.Greet();
  link.OpenUpload(2, 2, {Cursor(1, v1::STREAM_EVENT, 30)});
  ASSERT_TRUE(link.spool->Finish(FinalFrame(1)).ok());
  controller.AwaitFinal(1);
  EXPECT_EQ(controller.Frames(1, v1::STREAM_EVENT).size(), 100u);
  EXPECT_GE(controller.repeats(), 10) << "31 to 40 and more were sent again";
}

TEST(ControllerLinkTest, ArtifactsAreFetchedFromAnOffset) {
  FakeController controller;
  const TempDir dir;
  LinkUnderTest link(controller.address(), dir.path());
  const std::string content(300'000, 'm');
  controller.AddArtifact("abc", content);
  std::string got;
  const auto sink = [&](absl::string_view bytes) {
    got.append(bytes.data(), bytes.size());
    return absl::OkStatus();
  };
  EXPECT_TRUE(link.artifacts().Fetch("abc", 100, sink, {}).ok());
  EXPECT_EQ(got.size(), content.size() - 100);
  EXPECT_TRUE(absl::IsNotFound(link.artifacts().Fetch("other", 0, sink, {})));
  const absl::Status refused = link.artifacts().Fetch(
      "abc", 0, [](absl::string_view) { return absl::ResourceExhaustedError("full"); }, {});
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(absl::IsCancelled(link.artifacts().Fetch("abc", 0, sink, stop.get_token())));
}

}  // namespace
}  // namespace joulefarm::agent
