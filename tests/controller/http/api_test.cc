// What the HTTP interface answers from a real database.
#include "controller/http/api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/controller/store/store_testing.h"

namespace joulefarm::controller {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

class ApiTest : public testing::Test {
 protected:
  void SetUp() override {
    store_ = OpenStore(dir_.File("farm.db"));
    ASSERT_NE(store_, nullptr);
    AddLeasedJob(*store_);
    auto reader = Reader::Open(dir_.File("farm.db"));
    ASSERT_TRUE(reader.ok()) << reader.status();
    reader_ = *std::move(reader);
  }
  HttpReply Get(const std::string& path, const std::map<std::string, std::string>& query = {}) {
    HttpRequest request;
    request.path = path;
    request.query = {query.begin(), query.end()};
    return MakeApi(
        *reader_, [this] { return reason_; }, "9.8.7")(request);
  }

  TempDir dir_;
  std::string reason_;
  std::unique_ptr<SqliteStore> store_;
  std::unique_ptr<Reader> reader_;
};

TEST_F(ApiTest, ListingsAreArraysOfObjectsWithEveryKey) {
  const HttpReply reply = Get("/api/v1/jobs");
  EXPECT_EQ(reply.status, 200);
  const Json jobs = Json::parse(reply.body);
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0]["id"], "job-1");
  EXPECT_EQ(jobs[0]["state"], "ACTIVE");
  EXPECT_TRUE(jobs[0]["block"].is_number_integer());
  EXPECT_TRUE(jobs[0].contains("failure_class"));
  EXPECT_TRUE(jobs[0]["failure_class"].is_null());
  EXPECT_EQ(jobs[0].begin().key(), "id");
}

TEST_F(ApiTest, AnEmptyListingIsAnEmptyArray) {
  EXPECT_EQ(Get("/api/v1/results").body, "[]\n");
  EXPECT_EQ(Get("/api/v1/jobs", {{"state", "FAILED"}}).body, "[]\n");
}

TEST_F(ApiTest, ErrorsAreObjects) {
  EXPECT_EQ(Get("/api/v1/jobs", {{"colour", "red"}}).status, 400);
  EXPECT_THAT(std::string(Json::parse(Get("/api/v1/jobs", {{"colour", "red"}}).body)["error"]),
              HasSubstr("unknown filter"));
  EXPECT_EQ(Get("/api/v1/jobs", {{"limit", "-1"}}).status, 400);
  EXPECT_EQ(Get("/api/v1/results", {{"experiment", "exp-9"}}).status, 404);
  EXPECT_EQ(Get("/nowhere").status, 404);
}

TEST_F(ApiTest, HealthSaysWhetherItCanWrite) {
  EXPECT_EQ(Get("/healthz").status, 200);
  reason_ = "disk full";
  EXPECT_EQ(Get("/healthz").status, 503);
  EXPECT_EQ(Json::parse(Get("/healthz").body)["reason"], "disk full");
}

}  // namespace
}  // namespace joulefarm::controller
