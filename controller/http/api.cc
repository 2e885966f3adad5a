#include "controller/http/api.h"

#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/table/json.h"
#include "common/table/table_chunk.h"
#include "nlohmann/json.hpp"

namespace joulefarm::controller {

namespace {

using Json = nlohmann::ordered_json;

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

HttpReply Error(int status, const std::string& text) {
  return {status, "application/json", Dump(Json{{"error", text}})};
}

int HttpStatus(const absl::Status& status) {
  if (absl::IsInvalidArgument(status)) return 400;
  if (absl::IsNotFound(status)) return 404;
  return 500;
}

// Writes the rows as they come.
class JsonRows : public joulefarm::TableSink {
 public:
  void Begin(const std::vector<Column>& columns) override {
    columns_ = columns;
    keys_ = JsonKeys(columns);
  }
  void Row(const RowValues& row) override {
    absl::StrAppend(&body_, body_.empty() ? "[\n  " : ",\n  ", JsonObject(keys_, columns_, row));
  }
  void End() override { body_ += body_.empty() ? "[]\n" : "\n]\n"; }
  std::string& body() { return body_; }

 private:
  std::vector<Column> columns_;
  std::vector<std::string> keys_;
  std::string body_;
};

HttpReply ListAsJson(Reader& reader, v1::Listing listing, const HttpRequest& request) {
  v1::ListRequest list;
  list.set_listing(listing);
  for (const auto& [key, value] : request.query) {
    std::int64_t limit = 0;
    if (key != "limit") {
      (*list.mutable_filters())[key] = value;
    } else if (absl::SimpleAtoi(value, &limit) && limit >= 0) {
      list.set_limit(limit);
    } else {
      return Error(400, "limit must be a number, 0 or more");
    }
  }
  JsonRows rows;
  ChunkFeeder feeder(rows);
  absl::Status fed;
  const absl::Status read = reader.List(list, [&](const v1::TableChunk& chunk) {
    fed = feeder.Feed(chunk);
    return fed.ok();
  });
  for (const absl::Status& status : {fed, read}) {
    if (!status.ok()) return Error(HttpStatus(status), std::string(status.message()));
  }
  feeder.End();
  return {200, "application/json", std::move(rows.body())};
}

}  // namespace

HttpServer::Handler MakeApi(Reader& reader, std::function<std::string()> read_only_reason,
                            std::string version) {
  return [&reader, read_only_reason = std::move(read_only_reason),
          version = std::move(version)](const HttpRequest& request) -> HttpReply {
    static const std::map<std::string, v1::Listing> kListings = {
        {"/api/v1/devices", v1::LISTING_DEVICES},
        {"/api/v1/jobs", v1::LISTING_JOBS},
        {"/api/v1/results", v1::LISTING_RESULTS}};
    if (request.path == "/healthz") {
      const std::string reason = read_only_reason();
      if (reason.empty())
        return {200, "application/json", Dump(Json{{"status", "ok"}, {"version", version}})};
      return {503, "application/json",
              Dump(Json{{"status", "read-only"}, {"reason", reason}, {"version", version}})};
    }
    const auto listing = kListings.find(request.path);
    if (listing != kListings.end()) return ListAsJson(reader, listing->second, request);
    return Error(
        404, "no such page: there are /healthz, /api/v1/devices, /api/v1/jobs and /api/v1/results");
  };
}

}  // namespace joulefarm::controller
