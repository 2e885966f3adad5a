#include "common/experiment/cell_fault.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/config/suggest.h"
#include "common/experiment/placeholders.h"

namespace joulefarm {
namespace {

bool IsSet(const v1::GenerateSpec& spec, const char* key) {
  const auto* field = spec.GetDescriptor()->FindFieldByName(key);
  return spec.GetReflection()->HasField(spec, field);
}

std::optional<CellFault> FaultOfLlamaCpp(const v1::GenerateSpec& spec) {
  const auto meaningless = [](const char* key) {
    return CellFault{key, absl::StrCat(key,
                                       " means nothing to engine llama.cpp, which the agent "
                                       "starts itself; write engine: openai")};
  };
  if (spec.server_size() > 0) return meaningless("server");
  for (const char* key : {"url", "api_model"}) {
    if (!IsSet(spec, key)) continue;
    CellFault fault = meaningless(key);
    fault.key = absl::StrCat("options.", key);
    return fault;
  }
  return std::nullopt;
}

std::optional<CellFault> FaultOfOpenAi(const v1::GenerateSpec& spec) {
  const std::vector<std::string> server(spec.server().begin(), spec.server().end());
  if (!spec.has_url()) {
    return CellFault{"engine",
                     "engine openai needs options.url, the address of a server that runs "
                     "(http://HOST:PORT/v1), or server, a command that starts one"};
  }
  const std::string& url = spec.url();
  if (absl::StartsWith(url, "https:")) {
    return CellFault{"options.url",
                     absl::StrCat("https is not spoken to engines; found ", Quoted(url),
                                  "; use http, through a local proxy where the server needs TLS")};
  }
  if (!absl::StartsWith(url, "http://") || url.size() == std::string("http://").size()) {
    return CellFault{"options.url",
                     absl::StrCat("url must be like http://HOST:PORT/v1; found ", Quoted(url))};
  }
  const bool url_has_port = absl::StrContains(url, "{port}");
  if (url_has_port && server.empty()) {
    return CellFault{"options.url",
                     "url contains {port}, which stands for the port of a server the agent "
                     "starts; write server, or the port itself"};
  }
  if (url_has_port && !Mentions(server, "port")) {
    return CellFault{"server",
                     "no argument of server contains {port}, so it would not listen where it is "
                     "looked for; add it, or write options.url"};
  }
  for (const char* key : kEngineOptions) {
    if (!IsSet(spec, key)) continue;
    return CellFault{
        absl::StrCat(absl::string_view(key) == "threads" ? "" : "options.", key),
        absl::StrCat(key,
                     " is decided by the server when engine is openai; write it into the "
                     "arguments of server, as {",
                     key, "} where it is in the matrix")};
  }
  return std::nullopt;
}

}  // namespace

std::optional<CellFault> FaultOf(const v1::JobSpec& spec) {
  if (spec.has_throughput()) {
    if (spec.throughput().n_prompt() > 0 || spec.throughput().n_gen() > 0) return std::nullopt;
    return CellFault{"options.n_gen",
                     "n_prompt and n_gen are both 0, so nothing would be measured; set one of "
                     "them, or exclude the cell"};
  }
  if (!spec.has_generate()) return std::nullopt;
  return spec.generate().engine() == kOpenAi ? FaultOfOpenAi(spec.generate())
                                             : FaultOfLlamaCpp(spec.generate());
}

}  // namespace joulefarm
