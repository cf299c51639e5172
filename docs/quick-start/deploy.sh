#!/bin/bash
set -euo pipefail

# Find latest available image for target platform
IMAGE=$(caib catalog list --target raspberry-pi --phase Available --no-recalled --latest --output json | \
    jq -r '.items[0] // empty | (.spec.registryUrl | sub("@.*"; "") | sub(":[^/:]*$"; ""))
        + "@" + (.spec.digest // .status.registryMetadata.resolvedDigest)')

if [[ -z "$IMAGE" ]]; then
    echo "No available images found for raspberry-pi" >&2
    exit 1
fi

echo "Deploying image: $IMAGE"
# Use $IMAGE in deployment process
