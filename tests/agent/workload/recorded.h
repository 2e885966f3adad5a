// What llama-server sends.
//
// Threads: any. Ownership: none.
#pragma once

namespace joulefarm::agent {

// The shape of llama-server's stream: empty lines between events, UTF-8 of several bytes, a last
// event without a token.
inline constexpr char kRecordedStream[] =
    "data: "
    "{\"index\":0,\"content\":\"5\",\"tokens\":[56],\"stop\":false,\"timings\":{\"predicted_n\":1}}"
    "\n\n"
    "data: {\"index\":0,\"content\":\"\xEF\xBF\xBD"
    "5\",\"tokens\":[56],\"stop\":false,\"timings\":{\"predicted_n\":3}}\n\n"
    ": a comment\r\n"
    "data: "
    "{\"index\":0,\"content\":\"\",\"tokens\":[],\"stop\":true,\"timings\":{\"predicted_n\":3}}"
    "\r\n\r\n";

// Verbatim from llama-server build 11669, generation_settings left out of the last.
inline constexpr char kHeldBackEvent[] =
    R"({"index":0,"content":"�5","tokens":[56],"stop":false,"id_slot":-1,"tokens_predicted":3,"tokens_evaluated":8,"timings":{"cache_n":0,"prompt_n":8,"prompt_ms":4.388,"prompt_per_token_ms":0.5485,"prompt_per_second":1823.1540565177759,"predicted_n":3,"predicted_ms":2.025,"predicted_per_token_ms":1.0125,"predicted_per_second":987.6543209876544}})";
inline constexpr char kLastEvent[] =
    R"({"index":0,"content":"","tokens":[],"id_slot":0,"stop":true,"model":"m.gguf","tokens_predicted":64,"tokens_evaluated":8,"prompt":"<s> the power of the model is energy","has_new_line":false,"truncated":false,"stop_type":"limit","stopping_word":"","tokens_cached":71,"timings":{"cache_n":0,"prompt_n":8,"prompt_ms":4.388,"predicted_n":64,"predicted_ms":54.087}})";

}  // namespace joulefarm::agent
