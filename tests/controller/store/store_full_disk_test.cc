// A full disk: nothing half-written, a clear error, and the same upload goes through once there is
// room.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/controller/store/store_testing.h"

namespace joulefarm::controller {
namespace {

v1::Frame BigFrame(std::int64_t seq) {
  return MakeFrame(1, v1::STREAM_LOG, seq,
                   LogOf({std::string(30'000, 'x'), std::string(30'000, 'y')}));
}

// Uploads until it fails; returns the seq that did not go through.
std::int64_t FillUp(SqliteStore& store, std::int64_t most) {
  for (std::int64_t seq = 1; seq <= most; ++seq) {
    auto outcome = store.Ingest({BigFrame(seq)});
    if (outcome.ok()) continue;
    EXPECT_EQ(outcome.status().code(), absl::StatusCode::kResourceExhausted) << outcome.status();
    EXPECT_NE(outcome.status().ToString().find("make room"), std::string::npos) << outcome.status();
    return seq;
  }
  ADD_FAILURE() << "the disk never filled up";
  return most;
}

void ExpectWhole(SqliteStore& store, std::int64_t failed) {
  JF_ASSERT_OK_AND_ASSIGN(const std::vector<v1::StreamCursor> cursors, store.Cursors(1));
  ASSERT_EQ(cursors.size(), 1u);
  EXPECT_EQ(cursors[0].last_seq(), failed - 1);
  EXPECT_TRUE(store.Load().ok());
}

TEST(StoreFullDiskTest, ALimitOfPages) {
  const TempDir dir;
  auto store = OpenStore(dir.File("farm.db"));
  ASSERT_NE(store, nullptr);
  AddLeasedJob(*store);
  ASSERT_TRUE(store->SetMaxBytes(1 << 20).ok());
  const std::int64_t failed = FillUp(*store, 100);
  ExpectWhole(*store, failed);
  EXPECT_EQ(Query(dir.File("farm.db"), "SELECT count(*) FROM log"), absl::StrCat(2 * (failed - 1)));
  // Control state meets the same wall, and no part of it is written.
  Experiment experiment = MakeExperiment(2);
  experiment.text = std::string(200'000, 'z');
  EXPECT_EQ(store->Commit({MakeExperiment(3), experiment}).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(store->Load()->experiments.size(), 1u);

  ASSERT_TRUE(store->SetMaxBytes(std::nullopt).ok());
  JF_ASSERT_OK_AND_ASSIGN(const IngestOutcome outcome, store->Ingest({BigFrame(failed)}));
  EXPECT_EQ(Text(outcome.response.acks()), absl::StrCat("1/0/log=", failed));
  EXPECT_EQ(Query(dir.File("farm.db"), "PRAGMA integrity_check"), "ok");
}

// A file system of its own, so small that it fills up.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& path) : path_(path) {
    mounted_ = mount("jf-test", path.c_str(), "tmpfs", 0, "size=4m") == 0;
    error_ = errno;
  }
  ~SmallDisk() {
    if (mounted_) umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }
  int error() const { return error_; }

 private:
  std::string path_;
  bool mounted_ = false;
  int error_ = 0;
};

TEST(StoreFullDiskTest, ARealFullFileSystem) {
  const TempDir dir;
  const SmallDisk disk(dir.path().string());
  if (!disk.mounted()) {
    GTEST_SKIP() << "mounting a tmpfs needs root: " << std::strerror(disk.error());
  }
  auto store = OpenStore(dir.File("farm.db"));
  ASSERT_NE(store, nullptr);
  AddLeasedJob(*store);
  std::ofstream(dir.File("ballast")) << std::string(1 << 20, 'b');
  const std::int64_t failed = FillUp(*store, 200);
  ExpectWhole(*store, failed);
  // Still full: the same error, not a crash, and still nothing of it.
  EXPECT_EQ(store->Ingest({BigFrame(failed)}).status().code(),
            absl::StatusCode::kResourceExhausted);
  ExpectWhole(*store, failed);

  std::filesystem::remove(dir.File("ballast"));
  JF_ASSERT_OK_AND_ASSIGN(const IngestOutcome outcome, store->Ingest({BigFrame(failed)}));
  EXPECT_EQ(Text(outcome.response.acks()), absl::StrCat("1/0/log=", failed));
  store.reset();
  EXPECT_EQ(Query(dir.File("farm.db"), "PRAGMA integrity_check"), "ok");
  EXPECT_EQ(Query(dir.File("farm.db"), "SELECT count(*) FROM log"), absl::StrCat(2 * failed));
}

}  // namespace
}  // namespace joulefarm::controller
