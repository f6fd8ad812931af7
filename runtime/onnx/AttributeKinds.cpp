//===- AttributeKinds.cpp - What kind of value an attribute has ---------------===//

#include "runtime/onnx/AttributeKinds.h"

#include "runtime/onnx/Errors.h"

#include "llvm/ADT/StringMap.h"

using namespace npucc;

namespace {

/// Indices into Attribute::value's variant.
enum Kind : size_t { Int, Float, String, TensorValue, GraphValue, Ints, Floats, Strings };

constexpr const char *kKindNames[] = {"an integer",       "a float",          "a string",
                                      "a tensor",         "a graph",          "a list of integers",
                                      "a list of floats", "a list of strings"};

/// Names by kind, separated by spaces.
struct Names {
  Kind kind;
  const char *names;
};
constexpr Names kNames[] = {
    {Int, "K N allowzero antialias axis batch_axis batch_dims bits block_size blocksize ceil_mode "
          "center_point_box channels_last count_include_pad detect_negative detect_positive "
          "do_rotary dtype end exclude_outside exclusive fmod group hidden_size ignore_index "
          "input_forget interleaved inverse is_causal k keepdims kv_num_heads largest layout "
          "linear_before_reset local_window_size noop_with_empty_axes num_groups num_heads "
          "num_outputs num_scan_inputs onesided output_datatype output_dtype output_height "
          "output_width periodic q_num_heads reverse rotary_embedding_dim rotary_interleaved "
          "sampling_ratio select_last_index size sorted start storage_order time_axis "
          "training_mode transA transB upper"},
    {Float, "alpha beta bias clip cubic_coeff_a epsilon extrapolation_value gamma high lambd low "
            "mean scale softcap spatial_scale"},
    {String, "approximate auto_pad coordinate_transformation_mode direction equation "
             "keep_aspect_ratio_policy mode nearest_mode padding_mode reduction"},
    {GraphValue, "body else_branch then_branch"},
    {Ints, "axes dilations directions ends kernel_shape output_padding output_shape pads perm "
           "scan_input_axes scan_input_directions scan_output_axes scan_output_directions shape "
           "split starts strides"},
    {Floats, "activation_alpha activation_beta scales"},
    {Strings, "activations"},
};

llvm::StringMap<Kind> makeTable() {
  llvm::StringMap<Kind> table;
  for (const Names &entry : kNames) {
    llvm::SmallVector<llvm::StringRef, 64> names;
    llvm::StringRef(entry.names).split(names, ' ');
    for (llvm::StringRef name : names)
      table[name] = entry.kind;
  }
  return table;
}

} // namespace

std::optional<size_t> npucc::attributeKind(llvm::StringRef name) {
  static const llvm::StringMap<Kind> table = makeTable();
  auto known = table.find(name);
  return known == table.end() ? std::nullopt : std::optional<size_t>(known->second);
}

llvm::Error npucc::checkAttributeKind(llvm::StringRef name, const Attribute &attribute) {
  std::optional<size_t> kind = attributeKind(name);
  if (!kind || *kind == attribute.value.index())
    return llvm::Error::success();
  return makeError("must be {0}, not {1}", kKindNames[*kind], kKindNames[attribute.value.index()]);
}
