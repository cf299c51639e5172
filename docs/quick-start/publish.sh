#!/bin/bash
set -euo pipefail

# Wait for ImageBuild to complete
kubectl wait --for=condition=Complete "imagebuild/${BUILD_NAME}" --timeout=30m

# Publish to catalog if build succeeded
if caib catalog publish "${BUILD_NAME}" --wait --timeout=5m; then
    echo "✓ Successfully published to catalog"

    # Tag as production if this is a release build
    if [[ "${BRANCH:-}" == "main" ]]; then
        caib catalog get "${BUILD_NAME}" --output json | \
            jq '.spec.tags += ["production"] | .spec.tags |= unique' | \
            kubectl apply -f -
    fi
else
    echo "✗ Failed to publish to catalog"
    exit 1
fi
