// What a spool does when it is full, damaged, newer, or its process was killed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "agent/spool/spool.h"
#include "tests/agent/small_disk.h"
#include "tests/agent/spool/spool_fixture.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

TEST(SpoolTroubleTest, CopyTakenWhileItRunsOpensWithEverythingCommitted) {
  const TempDir dir;
  const TempDir copy;
  const auto spool = OpenSpool(TestSpoolOptions(dir.path()));
  ASSERT_TRUE(spool->PersistGrant(MakeGrant(1)).ok());
  for (int seq = 1; seq <= 50; ++seq) spool->Append(EventFrame(1, seq, 500));
  spool->Flush();
  // What a power cut would leave: nothing of this process's memory.
  std::filesystem::copy(
      dir.path(), copy.path(),
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
  const auto second = OpenSpool(TestSpoolOptions(copy.path()));
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(ReadAll(*second).size(), 50u);
  EXPECT_EQ(second->Held()->size(), 1u);
}

TEST(SpoolTroubleTest, KilledProcessLosesNothingItHadBeenPromised) {
  const TempDir dir;
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    {
      auto opened = Spool::Open(TestSpoolOptions(dir.path()));
      if (!opened.ok()) _exit(1);
      Spool& spool = *opened->spool;
      if (!spool.PersistGrant(MakeGrant(3)).ok()) _exit(2);
      spool.Append(EventFrame(3, 1));
      if (!spool.Finish(FinalFrame(3)).ok()) _exit(3);
      if (write(ready[1], "x", 1) != 1) _exit(4);
      pause();
    }
    _exit(0);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  const auto spool = OpenSpool(TestSpoolOptions(dir.path()));
  ASSERT_NE(spool, nullptr);
  ASSERT_EQ(spool->Held()->size(), 1u);
  EXPECT_TRUE(spool->Held()->at(0).finished);
  EXPECT_EQ(ReadAll(*spool).size(), 2u);
  close(ready[0]);
  close(ready[1]);
}

TEST(SpoolTroubleTest, FullSpoolGivesUpSamplesAndLogsButNothingElse) {
  const TempDir dir;
  SpoolOptions options = TestSpoolOptions(dir.path());
  options.max_bytes = 20'000;
  const auto spool = OpenSpool(std::move(options));
  ASSERT_TRUE(spool->PersistGrant(MakeGrant(1)).ok());
  for (int seq = 1; seq <= 10; ++seq) {
    spool->Append(PowerFrame(1, seq, 4000));
    spool->Append(LogFrame(1, seq, 4000));
    spool->Append(EventFrame(1, seq, 1000));
  }
  ASSERT_TRUE(spool->Finish(FinalFrame(1)).ok());
  std::map<int, std::int64_t> next;
  int gaps = 0;
  int whole = 0;
  for (const StoredFrame& stored : ReadAll(*spool)) {
    const v1::Frame& frame = stored.frame;
    EXPECT_EQ(frame.seq(), ++next[frame.stream()]) << "streams stay contiguous";
    if (frame.stream() == v1::STREAM_POWER) FirstChunk(frame).gap() ? ++gaps : ++whole;
    if (frame.stream() == v1::STREAM_EVENT) {
      EXPECT_GT(frame.payload().size(), 1000u);
    }
  }
  EXPECT_EQ(next[v1::STREAM_POWER], 10);
  EXPECT_EQ(next[v1::STREAM_LOG], 10);
  EXPECT_EQ(next[v1::STREAM_EVENT], 10);
  EXPECT_EQ(next[v1::STREAM_FINAL], 1);
  EXPECT_GT(gaps, 0);
  EXPECT_GT(whole, 0);
  // Events alone are ten thousand bytes; samples and lines stayed within the bound.
  EXPECT_LT(spool->stored_bytes(), 20'000 + 11'000);
}

TEST(SpoolTroubleTest, RoomIsUsedAgainAfterAcknowledgement) {
  const TempDir dir;
  SpoolOptions options = TestSpoolOptions(dir.path());
  options.max_bytes = 10'000;
  const auto spool = OpenSpool(std::move(options));
  ASSERT_TRUE(spool->PersistGrant(MakeGrant(1)).ok());
  spool->Append(PowerFrame(1, 1, 8000));
  spool->Append(PowerFrame(1, 2, 8000));
  spool->Acknowledge(Cursor(1, v1::STREAM_POWER, 2));
  spool->Append(PowerFrame(1, 3, 8000));
  spool->Flush();
  const auto frames = ReadAll(*spool);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_FALSE(FirstChunk(frames[0].frame).gap());
}

class DamageTest : public testing::TestWithParam<const char*> {};

TEST_P(DamageTest, DamagedSpoolIsSetAsideAndTheMarksSurvive) {
  const TempDir dir;
  {
    const auto spool = OpenSpool(TestSpoolOptions(dir.path()));
    ASSERT_TRUE(spool->PersistGrant(MakeGrant(41)).ok());
    for (int seq = 1; seq <= 200; ++seq) spool->Append(EventFrame(41, seq, 1000));
    spool->Flush();
  }
  const auto path = dir.path() / "spool.db";
  const auto size = std::filesystem::file_size(path);
  const std::string kind = GetParam();
  if (kind == "text") {
    std::ofstream(path, std::ios::trunc)
        << "this is no database at all, just some text that is long enough";
  } else if (kind == "truncated") {
    std::filesystem::resize_file(path, size / 2 / 4096 * 4096);
  } else {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    for (std::uintmax_t at = 4096; at + 512 < size; at += 4096) {
      file.seekp(static_cast<std::streamoff>(at));
      file << std::string(512, '\xA5');
    }
  }
  auto opened = Spool::Open(TestSpoolOptions(dir.path()));
  ASSERT_TRUE(opened.ok()) << opened.status();
  ASSERT_TRUE(opened->set_aside.has_value());
  EXPECT_TRUE(std::filesystem::exists(*opened->set_aside));
  EXPECT_TRUE(opened->spool->Held()->empty());
  EXPECT_EQ(opened->spool->HighWater()["d"], 41) << "from the fence file";
  EXPECT_TRUE(opened->spool->PersistGrant(MakeGrant(42)).ok());
}

INSTANTIATE_TEST_SUITE_P(Kinds, DamageTest, testing::Values("text", "truncated", "overwritten"),
                         [](const auto& param) { return std::string(param.param); });

TEST(SpoolTroubleTest, SpoolOfANewerAgentIsLeftAlone) {
  const TempDir dir;
  { OpenSpool(TestSpoolOptions(dir.path())); }
  {
    // user_version lives at offset 60 of the header.
    std::fstream file(dir.path() / "spool.db", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(60);
    file.write("\0\0\0\x63", 4);
  }
  const auto opened = Spool::Open(TestSpoolOptions(dir.path()));
  ASSERT_FALSE(opened.ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(opened.status())) << opened.status();
  EXPECT_NE(std::string(opened.status().message()).find("newer"), std::string::npos);
}

TEST(SpoolTroubleTest, FullDiskKeepsEventsAndFinalAndRefusesGrants) {
  SmallDisk disk(4096);
  if (!disk.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  Heard heard;
  const auto spool = OpenSpool(TestSpoolOptions(disk.path(), &heard));
  ASSERT_NE(spool, nullptr);
  ASSERT_TRUE(spool->PersistGrant(MakeGrant(1)).ok());
  disk.Fill();
  for (int seq = 1; seq <= 40; ++seq) spool->Append(PowerFrame(1, seq, 40'000));
  spool->Append(EventFrame(1, 1, 1000));
  spool->Flush();
  ASSERT_FALSE(heard.failures().empty());
  EXPECT_TRUE(absl::IsResourceExhausted(heard.failures()[0])) << heard.failures()[0];
  const absl::Status finished = spool->Finish(FinalFrame(1));
  ASSERT_TRUE(finished.ok()) << finished;
  std::map<int, std::int64_t> last;
  for (const StoredFrame& stored : ReadAll(*spool))
    last[stored.frame.stream()] = stored.frame.seq();
  EXPECT_EQ(last[v1::STREAM_POWER], 40);
  EXPECT_EQ(last[v1::STREAM_EVENT], 1);
  EXPECT_EQ(last[v1::STREAM_FINAL], 1);
  disk.Fill();
  EXPECT_TRUE(absl::IsResourceExhausted(spool->PersistGrant(MakeGrant(2))));
  disk.Empty();
  EXPECT_TRUE(spool->PersistGrant(MakeGrant(2)).ok()) << "goes on when there is room again";
}

}  // namespace
}  // namespace joulefarm::agent
