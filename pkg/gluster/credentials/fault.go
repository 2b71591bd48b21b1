// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
)

// Fault is why a server and this host do not come together. Its text says it of the server, for people.
type Fault string

// The faults.
const (
	WantsTLS    Fault = "it wants TLS, and was spoken to in plain text"
	SpeaksPlain Fault = "it speaks plain text, and was spoken to in TLS"
	OtherCA     Fault = "its certificate is of a CA that is not in ca.crt"
	Expired     Fault = "its certificate has expired"
	NotYetValid Fault = "its certificate is not valid yet, by this node's clock"
	Unproven    Fault = "its certificate is of a CA that is not in ca.crt, or has expired"
	OwnOtherCA  Fault = "it does not know the CA of this node's certificate"
	OwnExpired  Fault = "this node's certificate has expired"
	OwnRefused  Fault = "it refuses this node's certificate"
	NoneToShow  Fault = "it wants TLS, and this node has no certificate for it"
)

// FaultError is a Fault that has kept a call from being made, or answered.
type FaultError struct{ Fault Fault }

func (e FaultError) Error() string { return string(e.Fault) }

// FaultOf finds the fault in the error of Client, or of a read or write thereafter: "" where it is none of them.
func FaultOf(err error) Fault {
	var fault FaultError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var noTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &fault):
		return fault.Fault
	case errors.As(err, &unknown):
		return OtherCA
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && strings.Contains(invalid.Detail, "is before"):
		return NotYetValid
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return Expired
	case errors.As(err, &invalid):
		return Unproven
	case errors.As(err, &noTLS):
		return SpeaksPlain
	}
	return alertOf(err)
}

// alertOf is what the server has said of this host's certificate (RFC 8446, section 6.2), in crypto/tls' words.
func alertOf(err error) Fault {
	var remote *net.OpError
	if !errors.As(err, &remote) || remote.Op != "remote error" {
		return ""
	}
	switch text := remote.Err.Error(); {
	case strings.Contains(text, "expired certificate"):
		return OwnExpired
	case strings.Contains(text, "unknown certificate authority"):
		return OwnOtherCA
	case strings.Contains(text, "certificate"):
		return OwnRefused
	}
	return ""
}

// Connection is what one is for.
type Connection string

// The connections of a client.
const (
	Management Connection = "management" // with glusterd: port 24007
	IO         Connection = "I/O"        // with a brick
)

// Cure says what to do about the fault of a connection, where the cluster's Secret has this name, or "" where the clusters
// file names none.
func (f Fault) Cure(connection Connection, secret, volume string) string {
	// Where the program of the servers looks for it.
	const where = "of the servers (in /usr/lib/ssl on Debian, in /etc/ssl elsewhere)"
	const onServers = "glusterfs.pem " + where
	switch f {
	case WantsTLS, NoneToShow:
		return wantsTLSCure(connection, secret, volume)
	case SpeaksPlain:
		if connection == IO {
			return fmt.Sprintf("run `gluster volume set %s server.ssl on` on a server, or client.ssl off", volume)
		}
		return "turn management encryption on (`touch /var/lib/glusterd/secure-access` on all servers, and restart GlusterFS there), " +
			"or take `management: true` out of the clusters file"
	case OtherCA, Unproven:
		return fmt.Sprintf("put the CA of %s into ca.crt of Secret %s; `openssl x509 -noout -issuer -dates -in` shows which it is, and until when it is valid",
			onServers, secret)
	case NotYetValid:
		return fmt.Sprintf("set this node's clock, if `date` is wrong on it, else renew %s", onServers)
	case Expired:
		return fmt.Sprintf("renew %s, which count for each new connection; `openssl x509 -noout -dates -in` shows when they are valid", onServers)
	case OwnExpired:
		return fmt.Sprintf("renew the certificate in Secret %s: the driver takes it by itself", secret)
	case OwnOtherCA, OwnRefused:
		return fmt.Sprintf("write a certificate into Secret %s whose CA is in glusterfs.ca %s", secret, where)
	}
	return ""
}

func wantsTLSCure(connection Connection, secret, volume string) string {
	const inClustersFile = "name a Secret with this cluster's certificates in the clusters file, `tls: {secretName: NAME%s}`, and give it to the driver's pods"
	switch {
	case connection == Management && secret != "":
		return fmt.Sprintf("management encryption is on there (/var/lib/glusterd/secure-access): write `tls: {secretName: %s, management: true}` into the clusters file", secret)
	case connection == Management:
		return "management encryption is on there (/var/lib/glusterd/secure-access): " + fmt.Sprintf(inClustersFile, ", management: true")
	case secret == "":
		return fmt.Sprintf(inClustersFile, "") + fmt.Sprintf("; `gluster volume get %s client.ssl` on a server has to say on", volume)
	}
	return fmt.Sprintf("run `gluster volume set %s client.ssl on` on a server", volume)
}
