#!/usr/bin/env bash
# Makes, in FOLDER and once: a CA, a server certificate for localhost and 127.0.0.1, a client certificate, a key and the tokens of
# two roles (admin may do all, stranger nothing). Prints the broker's configuration for TLS on PORT and tokens everywhere.
#
#   tls.sh FOLDER PORT
set -euo pipefail
[[ $# -eq 2 ]] || { sed -n '2,${/^#/!q;s/^# \{0,1\}//;p;}' "$0" >&2; exit 2; }
folder=$(realpath -m "$1") port=$2
mkdir -p "$folder"
cd "$folder"

key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
signed() { # NAME SUBJECT EXTENSIONS: a certificate by our CA, its key as PKCS 8
  openssl req "${key[@]}" -subj "/CN=$2" -keyout "$1.key" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -out "$1.pem" -extfile <(echo "$3")
}
base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
token() { # ROLE: signed with HMAC-SHA256
  local text sign
  text=$(printf '{"alg":"HS256","typ":"JWT"}' | base64url).$(printf '{"sub":"%s"}' "$1" | base64url)
  sign=$(printf '%s' "$text" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$(od -An -vtx1 jwt.key | tr -d ' \n')" -binary | base64url)
  printf '%s.%s' "$text" "$sign" > "$1.jwt"
}

if [[ ! -s admin.header ]]; then
  {
    openssl req -x509 "${key[@]}" -days 30 -subj /CN=minuet-test-ca -keyout ca.key -out ca.pem
    signed server localhost 'subjectAltName=DNS:localhost,IP:127.0.0.1'
    signed client admin 'extendedKeyUsage=clientAuth'
  } 2> openssl.log || { cat openssl.log >&2; exit 1; }
  openssl rand 32 > jwt.key
  token admin
  token stranger
  printf 'Authorization: Bearer %s' "$(< admin.jwt)" > admin.header
fi

cat << CONF
brokerServicePortTls=$port
tlsCertificateFilePath=$folder/server.pem
tlsKeyFilePath=$folder/server.key
tlsTrustCertsFilePath=$folder/ca.pem
authenticationEnabled=true
authorizationEnabled=true
authenticationProviders=org.apache.pulsar.broker.authentication.AuthenticationProviderToken
tokenSecretKey=file://$folder/jwt.key
superUserRoles=admin
brokerClientAuthenticationPlugin=org.apache.pulsar.client.impl.auth.AuthenticationToken
brokerClientAuthenticationParameters=token:$(< admin.jwt)
CONF
