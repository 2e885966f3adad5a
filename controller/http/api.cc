#include "controller/http/api.h"

#include <map>
#include <utility>

#include "absl/strings/numbers.h"
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

Json ToJson(const v1::Cell& cell, v1::ColumnKind kind) {
  switch (cell.value_case()) {
    case v1::Cell::kText: {
      if (kind != v1::COLUMN_KIND_JSON) return cell.text();
      Json parsed = Json::parse(cell.text(), nullptr, /*allow_exceptions=*/false);
      return parsed.is_discarded() ? Json(cell.text()) : parsed;
    }
    case v1::Cell::kInteger:
      if (kind == v1::COLUMN_KIND_BOOLEAN) return cell.integer() != 0;
      return cell.integer();
    case v1::Cell::kReal:
      return cell.real();
    case v1::Cell::kBoolean:
      return cell.boolean();
    case v1::Cell::kBlob:
    case v1::Cell::VALUE_NOT_SET:
      break;
  }
  return nullptr;
}

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
  std::vector<v1::Column> columns;
  Json rows = Json::array();
  const absl::Status read = reader.List(list, [&](const v1::TableChunk& chunk) {
    if (columns.empty()) columns.assign(chunk.columns().begin(), chunk.columns().end());
    for (const v1::Row& row : chunk.rows()) {
      Json object = Json::object();
      for (int i = 0; i < row.cells_size(); ++i)
        object[columns[i].name()] = ToJson(row.cells(i), columns[i].kind());
      rows.push_back(std::move(object));
    }
    return true;
  });
  if (!read.ok()) return Error(HttpStatus(read), std::string(read.message()));
  return {200, "application/json", Dump(rows)};
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
