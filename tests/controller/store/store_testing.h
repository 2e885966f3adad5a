// Small farms, frames and files for the store's tests.
//
// Thread rule: one thread. Ownership: values; a TempDir removes itself.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/store/sqlite_store.h"

namespace joulefarm::controller {

// A fresh directory; gone with its scope.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::string File(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

// The time every store of these tests stamps its own rows with.
inline constexpr std::int64_t kStoreWallNs = 1'700'000'000'000'000'000;

SqliteStoreOptions TestOptions();
std::unique_ptr<SqliteStore> OpenStore(const std::string& path);

Experiment MakeExperiment(int number);
// A job of exp-1 (cell "model=tiny", block 0, device dev-1) in state ACTIVE.
Job MakeJob(int number);
Attempt MakeAttempt(Fence fence, const Job& job);

// exp-1 with job-1, leased as attempt 1; job.live_fence = 1.
void AddLeasedJob(Store& store);

// A frame with the right checksum.
v1::Frame MakeFrame(Fence fence, v1::Stream stream, std::int64_t seq, const std::string& payload);
v1::Frame MakeFrame(Fence fence, v1::Stream stream, std::int64_t seq,
                    const google::protobuf::Message& payload);

v1::LogBatch LogOf(const std::vector<std::string>& lines);
v1::EventBatch EventsOf(const std::vector<v1::Event>& events);
// A success that lists these last seqs.
v1::Final FinalOf(const std::vector<std::pair<v1::Stream, std::int64_t>>& last);

// The first row of a query as text, columns joined by "|", NULL as "NULL"; rows joined by ";".
std::string Query(const std::string& path, const std::string& sql);

// "fence/source/stream=last_seq" of each, joined by " ".
std::string Text(const google::protobuf::RepeatedPtrField<v1::StreamCursor>& cursors);
std::string Text(const std::vector<v1::StreamCursor>& cursors);
// "stream:seq CODE" of each.
std::string Text(const google::protobuf::RepeatedPtrField<v1::FrameRejected>& rejected);

}  // namespace joulefarm::controller

// The value of a StatusOr, or the end of the test.
#define JF_ASSERT_OK_AND_ASSIGN(declaration, expression) \
  JF_ASSERT_OK_AND_ASSIGN_(declaration, expression, JF_NAME_(__LINE__))
#define JF_NAME_(line) JF_NAME2_(line)
#define JF_NAME2_(line) status_or_##line
#define JF_ASSERT_OK_AND_ASSIGN_(declaration, expression, holder) \
  auto holder = (expression);                                     \
  ASSERT_TRUE(holder.ok()) << holder.status();                    \
  declaration = *std::move(holder)
#define JF_EXPECT_OK(expression)                 \
  do {                                           \
    const absl::Status jf_status = (expression); \
    EXPECT_TRUE(jf_status.ok()) << jf_status;    \
  } while (false)
