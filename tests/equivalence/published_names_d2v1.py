"""data2vec v1 tensors under HuggingFace's names, from fairseq's."""

import re

_RULES = [
    (r"mask_emb", "masked_spec_embed"),
    (r"(feature_extractor\.conv_layers\.\d+)\.0\.", r"\1.conv."),
    (r"(feature_extractor\.conv_layers\.\d+)\.2\.1\.", r"\1.layer_norm."),
    (r"layer_norm\.", "feature_projection.layer_norm."),
    (r"post_extract_proj\.", "feature_projection.projection."),
    (
        r"encoder\.pos_conv\.(\d+)\.0\.",
        r"encoder.pos_conv_embed.layers.\1.conv.",
    ),
    (r"(encoder\.layers\.\d+)\.self_attn\.", r"\1.attention."),
    (r"(encoder\.layers\.\d+)\.self_attn_layer_norm\.", r"\1.layer_norm."),
    (r"(encoder\.layers\.\d+)\.fc1\.", r"\1.feed_forward.intermediate_dense."),
    (r"(encoder\.layers\.\d+)\.fc2\.", r"\1.feed_forward.output_dense."),
]


def huggingface_state(state):
    """Rename a fairseq state; HuggingFace keeps no `final_proj`."""
    renamed = {}
    for name, value in state.items():
        if name.startswith("final_proj"):
            continue
        for pattern, replacement in _RULES:
            if re.match(pattern, name):
                name = re.sub(f"^{pattern}", replacement, name)
                break
        renamed[name] = value
    return renamed
