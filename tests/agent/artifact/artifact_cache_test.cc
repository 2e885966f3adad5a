#include "agent/artifact/artifact_cache.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "common/sha256/sha256.h"
#include "tests/agent/small_disk.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

// Content in memory; can break off and can lie.
class FakeSource : public ArtifactSource {
 public:
  explicit FakeSource(std::string bytes) : content(std::move(bytes)) {}

  absl::Status Fetch(const std::string&, std::int64_t offset,
                     const std::function<absl::Status(absl::string_view)>& sink,
                     std::stop_token stop) override {
    ++fetches;
    offsets.push_back(offset);
    if (!status.ok()) return status;
    std::size_t at = static_cast<std::size_t>(offset);
    const std::size_t end =
        break_after > 0 ? std::min(content.size(), at + break_after) : content.size();
    while (at < end) {
      if (stop.stop_requested()) return absl::CancelledError("stopped");
      const std::size_t n = std::min<std::size_t>(1000, end - at);
      const absl::Status taken = sink(absl::string_view(content).substr(at, n));
      if (!taken.ok()) return taken;
      at += n;
    }
    return end < content.size() ? absl::UnavailableError("the line broke") : at_end;
  }

  std::string content;
  std::size_t break_after = 0;  // 0: never
  absl::Status status;          // instead of any content
  absl::Status at_end;          // after all of it
  std::atomic<int> fetches = 0;
  std::vector<std::int64_t> offsets;
};

std::string Content(std::size_t size) {
  std::string content(size, '\0');
  for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<char>(i * 31 + i / 256);
  return content;
}

std::string ReadFile(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

class ArtifactCacheTest : public testing::Test {
 protected:
  ArtifactCacheTest() : source_(Content(50'000)), cache_(dir_.path() / "artifacts", &source_) {
    request_ = {.sha256 = Sha256Hex(source_.content), .size_bytes = 50'000, .name = "tiny"};
  }
  std::filesystem::path File() { return dir_.path() / "artifacts" / request_.sha256; }

  TempDir dir_;
  FakeSource source_;
  ArtifactCache cache_;
  ArtifactRequest request_;
};

TEST_F(ArtifactCacheTest, FetchedOnceThenFromDisk) {
  for (int i = 0; i < 3; ++i) {
    const auto file = cache_.Get(request_, {});
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(file->path(), File());
    EXPECT_EQ(ReadFile(file->path()), source_.content);
  }
  EXPECT_EQ(source_.fetches, 1);
  ArtifactCache second(dir_.path() / "artifacts", &source_);
  ASSERT_TRUE(second.Get(request_, {}).ok());
  EXPECT_EQ(source_.fetches, 1) << "a new process finds it too";
}

TEST_F(ArtifactCacheTest, FlippedByteIsNoticedAndFetchedAgain) {
  ASSERT_TRUE(cache_.Get(request_, {}).ok());
  struct stat before {};
  stat(File().c_str(), &before);
  {
    std::fstream file(File(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(25'000);
    file.put(static_cast<char>(source_.content[25'000] ^ 1));
  }
  // Even when the time of change is put back.
  const timespec times[2] = {before.st_atim, before.st_mtim};
  utimensat(AT_FDCWD, File().c_str(), times, 0);
  const auto file = cache_.Get(request_, {});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(ReadFile(file->path()), source_.content);
  EXPECT_EQ(source_.fetches, 2);
}

TEST_F(ArtifactCacheTest, LostMarkerCostsAHashNotADownload) {
  ASSERT_TRUE(cache_.Get(request_, {}).ok());
  std::filesystem::remove(File().string() + ".ok");
  ASSERT_TRUE(cache_.Get(request_, {}).ok());
  EXPECT_EQ(source_.fetches, 1);
  EXPECT_TRUE(std::filesystem::exists(File().string() + ".ok"));
}

TEST_F(ArtifactCacheTest, BrokenDownloadIsResumedWhereItBroke) {
  source_.break_after = 20'000;
  EXPECT_TRUE(absl::IsUnavailable(cache_.Get(request_, {}).status()));
  EXPECT_FALSE(std::filesystem::exists(File()));
  EXPECT_TRUE(absl::IsUnavailable(cache_.Get(request_, {}).status()));
  const auto file = cache_.Get(request_, {});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(source_.offsets, (std::vector<std::int64_t>{0, 20'000, 40'000}));
  EXPECT_EQ(ReadFile(file->path()), source_.content);
}

TEST_F(ArtifactCacheTest, WrongRestOfAnEarlierTryIsThrownAway) {
  std::ofstream(File().string() + ".part", std::ios::binary) << std::string(10'000, 'x');
  const auto file = cache_.Get(request_, {});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(source_.offsets, (std::vector<std::int64_t>{10'000, 0}));
  EXPECT_EQ(ReadFile(file->path()), source_.content);
}

TEST_F(ArtifactCacheTest, SourceThatLiesNeverGetsIn) {
  source_.content[7] = static_cast<char>(source_.content[7] ^ 1);
  const auto file = cache_.Get(request_, {});
  EXPECT_TRUE(absl::IsDataLoss(file.status())) << file.status();
  EXPECT_FALSE(std::filesystem::exists(File()));
  EXPECT_FALSE(std::filesystem::exists(File().string() + ".part"));
  EXPECT_EQ(source_.fetches, 2);
}

TEST_F(ArtifactCacheTest, MoreBytesThanAnnouncedEndTheDownload) {
  source_.content += std::string(100'000, 'x');
  EXPECT_TRUE(absl::IsDataLoss(cache_.Get(request_, {}).status()));
}

TEST_F(ArtifactCacheTest, ErrorsNameTheArtifact) {
  source_.status = absl::NotFoundError("no such content");
  const auto file = cache_.Get(request_, {});
  EXPECT_TRUE(absl::IsNotFound(file.status()));
  EXPECT_NE(std::string(file.status().message()).find("tiny"), std::string::npos);
  EXPECT_TRUE(absl::IsInvalidArgument(
      cache_.Get({.sha256 = "../x", .size_bytes = 1, .name = "evil"}, {}).status()));
}

TEST_F(ArtifactCacheTest, StopEndsTheDownload) {
  std::stop_source stop;
  const auto file = cache_.Get(request_, stop.get_token(), [&](std::int64_t bytes) {
    if (bytes >= 10'000) stop.request_stop();
  });
  EXPECT_TRUE(absl::IsCancelled(file.status())) << file.status();
  EXPECT_FALSE(std::filesystem::exists(File()));
}

TEST_F(ArtifactCacheTest, StopEndsTheHashOfAFileAndKeepsIt) {
  ASSERT_TRUE(cache_.Get(request_, {}).ok());
  std::filesystem::remove(File().string() + ".ok");
  std::stop_source stop;
  stop.request_stop();
  const auto file = cache_.Get(request_, stop.get_token());
  EXPECT_TRUE(absl::IsCancelled(file.status())) << file.status();
  EXPECT_EQ(ReadFile(File()), source_.content);
  EXPECT_FALSE(std::filesystem::exists(File().string() + ".ok")) << "it was not proved";
  ASSERT_TRUE(cache_.Get(request_, {}).ok());
  EXPECT_EQ(source_.fetches, 1);
}

TEST_F(ArtifactCacheTest, StopEndsTheHashOfAnEarlierTryAndKeepsIt) {
  std::ofstream(File().string() + ".part", std::ios::binary) << source_.content;
  std::stop_source stop;
  stop.request_stop();
  const auto file = cache_.Get(request_, stop.get_token());
  EXPECT_TRUE(absl::IsCancelled(file.status())) << file.status();
  EXPECT_EQ(ReadFile(File().string() + ".part"), source_.content);
  ASSERT_TRUE(cache_.Get(request_, {}).ok());
  EXPECT_EQ(source_.fetches, 0);
}

// A pipe goes on until its writer ends it.
TEST_F(ArtifactCacheTest, StopIsSeenBetweenTwoPiecesOfAFile) {
  ASSERT_EQ(mkfifo(File().c_str(), 0600), 0);
  signal(SIGPIPE, SIG_IGN);  // the reader may be gone first
  std::stop_source stop;
  std::thread writer([&] {
    std::ofstream pipe(File(), std::ios::binary);
    pipe << std::string(100'000, 'x') << std::flush;  // more than a pipe holds: some was read
    stop.request_stop();
    pipe << 'x' << std::flush;
  });
  const auto file = cache_.Get(request_, stop.get_token());
  writer.join();
  EXPECT_TRUE(absl::IsCancelled(file.status())) << file.status();
  EXPECT_TRUE(std::filesystem::exists(File()));
}

TEST_F(ArtifactCacheTest, SeveralAskersShareOneDownload) {
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { good += cache_.Get(request_, {}).ok() ? 1 : 0; });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 4);
  EXPECT_EQ(source_.fetches, 1);
}

TEST_F(ArtifactCacheTest, TransfersAreCounted) {
  source_.break_after = 20'000;
  ASSERT_FALSE(cache_.Get(request_, {}).ok());
  source_.break_after = 0;
  auto file = cache_.Get(request_, {});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->fetched_bytes(), 30'000) << "only the rest";
  file = cache_.Get(request_, {});
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->fetched_bytes(), 0);
}

TEST_F(ArtifactCacheTest, ADamagedCopyAtTheSourceIsToldAndNotTriedAgain) {
  source_.at_end = absl::DataLossError("the controller's copy is damaged: push it again");
  source_.content[7] = static_cast<char>(source_.content[7] ^ 1);
  const auto file = cache_.Get(request_, {});
  EXPECT_TRUE(absl::IsFailedPrecondition(file.status())) << file.status();
  EXPECT_NE(std::string(file.status().message()).find("push it again"), std::string::npos);
  EXPECT_EQ(source_.fetches, 1);
  EXPECT_FALSE(std::filesystem::exists(File().string() + ".part"));
}

TEST_F(ArtifactCacheTest, AWeekOldRecordIsProvedAgain) {
  std::int64_t now = 1'700'000'000'000'000'000;
  ArtifactCache cache(dir_.path() / "artifacts", &source_, {.wall_now_ns = [&] { return now; }});
  ASSERT_TRUE(cache.Get(request_, {}).ok());
  const std::string record = ReadFile(File().string() + ".ok");
  now += std::int64_t{6} * 24 * 3600 * 1'000'000'000;
  ASSERT_TRUE(cache.Get(request_, {}).ok());
  EXPECT_EQ(ReadFile(File().string() + ".ok"), record);
  now += std::int64_t{2} * 24 * 3600 * 1'000'000'000;
  ASSERT_TRUE(cache.Get(request_, {}).ok());
  EXPECT_NE(ReadFile(File().string() + ".ok"), record) << "it was not hashed again";
  EXPECT_EQ(source_.fetches, 1);
}

class ArtifactQuotaTest : public testing::Test {
 protected:
  static constexpr std::int64_t kEach = 40'000;

  ArtifactQuotaTest()
      : cache_(dir_.path(), &source_,
               {.max_bytes = 100'000,
                .note = [this](const std::string& text) { notes_.push_back(text); },
                .wall_now_ns = [this] { return now_ += 1'000'000'000; }}) {}

  // The one content of this number.
  absl::StatusOr<CachedArtifact> Get(char number) {
    source_.content = std::string(kEach, number);
    return cache_.Get(RequestOf(number), {});
  }
  static ArtifactRequest RequestOf(char number) {
    return {.sha256 = Sha256Hex(std::string(kEach, number)),
            .size_bytes = kEach,
            .name = std::string("model-") + number};
  }
  bool Has(char number) { return std::filesystem::exists(dir_.path() / RequestOf(number).sha256); }

  TempDir dir_;
  FakeSource source_{""};
  std::int64_t now_ = 1'700'000'000'000'000'000;
  std::vector<std::string> notes_;
  ArtifactCache cache_;
};

TEST_F(ArtifactQuotaTest, TheLeastRecentlyUsedGoesFirst) {
  ASSERT_TRUE(Get('a').ok());
  ASSERT_TRUE(Get('b').ok());
  ASSERT_TRUE(Get('a').ok());
  ASSERT_TRUE(notes_.empty());
  ASSERT_TRUE(Get('c').ok());
  EXPECT_TRUE(Has('a'));
  EXPECT_FALSE(Has('b'));
  EXPECT_TRUE(Has('c'));
  ASSERT_EQ(notes_.size(), 1u);
  EXPECT_NE(notes_[0].find("makes room for model-c"), std::string::npos);
}

TEST_F(ArtifactQuotaTest, WhatSomebodyHoldsStays) {
  const auto a = Get('a');
  const auto b = Get('b');
  ASSERT_TRUE(a.ok() && b.ok());
  const auto c = Get('c');
  EXPECT_TRUE(absl::IsResourceExhausted(c.status())) << c.status();
  EXPECT_NE(std::string(c.status().message()).find("artifact_max_bytes is 100000"),
            std::string::npos);
  EXPECT_TRUE(Has('a'));
  EXPECT_TRUE(Has('b'));
}

TEST_F(ArtifactQuotaTest, TheEndOfUseCountsAsUse) {
  {
    const auto a = Get('a');
    ASSERT_TRUE(Get('b').ok());
  }
  ASSERT_TRUE(Get('c').ok());
  EXPECT_TRUE(Has('a'));
  EXPECT_FALSE(Has('b'));
}

TEST_F(ArtifactQuotaTest, AFileLargerThanTheQuotaThrowsNothingOut) {
  ASSERT_TRUE(Get('a').ok());
  const auto big =
      cache_.Get({.sha256 = Sha256Hex("big"), .size_bytes = 100'001, .name = "big"}, {});
  EXPECT_TRUE(absl::IsFailedPrecondition(big.status())) << big.status();
  EXPECT_NE(std::string(big.status().message()).find("raise artifact_max_bytes"),
            std::string::npos);
  EXPECT_TRUE(Has('a'));
  EXPECT_EQ(source_.fetches, 1);
}

TEST(ArtifactCacheDiskTest, WhatIsNotInUseMakesRoomOnTheDisk) {
  SmallDisk disk(256);
  if (!disk.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  FakeSource source(std::string(150'000, 'a'));
  ArtifactCache cache(disk.path() / "artifacts", &source);
  for (const char number : {'a', 'b'}) {
    source.content = std::string(150'000, number);
    const ArtifactRequest request{
        .sha256 = Sha256Hex(source.content), .size_bytes = 150'000, .name = "model"};
    const auto file = cache.Get(request, {});
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(ReadFile(file->path()), source.content);
  }
}

TEST(ArtifactCacheDiskTest, FullDiskSaysSoAndLeavesNothingBehind) {
  SmallDisk disk(256);
  if (!disk.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  FakeSource source(Content(1'000'000));
  ArtifactCache cache(disk.path() / "artifacts", &source);
  const ArtifactRequest request{
      .sha256 = Sha256Hex(source.content), .size_bytes = 1'000'000, .name = "big"};
  const auto file = cache.Get(request, {});
  EXPECT_TRUE(absl::IsResourceExhausted(file.status())) << file.status();
  EXPECT_NE(std::string(file.status().message()).find(disk.path().string()), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_empty(disk.path() / "artifacts"));
}

}  // namespace
}  // namespace joulefarm::agent
